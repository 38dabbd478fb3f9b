import type { Language } from "../../i18n";

const NAMES: Record<string, { readonly "zh-CN": string; readonly en: string }> = {
  edge: { "zh-CN": "微软 Edge", en: "Microsoft Edge" },
  fish: { "zh-CN": "Fish Speech", en: "Fish Speech" },
  gpt_sovits: { "zh-CN": "GPT-SoVITS", en: "GPT-SoVITS" },
  cosyvoice: { "zh-CN": "CosyVoice", en: "CosyVoice" },
  tencent: { "zh-CN": "腾讯云", en: "Tencent Cloud" },
  doubao: { "zh-CN": "豆包", en: "Doubao" },
  indextts2: { "zh-CN": "IndexTTS2", en: "IndexTTS2" },
  xtts: { "zh-CN": "XTTS", en: "XTTS" },
  azure: { "zh-CN": "微软 Azure", en: "Microsoft Azure" },
  openai_speech: { "zh-CN": "OpenAI", en: "OpenAI-compatible" },
  openai: { "zh-CN": "OpenAI", en: "OpenAI-compatible" },
  whisper: { "zh-CN": "Whisper", en: "Whisper" },
  funasr: { "zh-CN": "FunASR", en: "FunASR" },
  ollama: { "zh-CN": "Ollama", en: "Ollama" },
};

/** A service's name as its makers write it in the reader's language; an unknown one as it is registered. */
export function serviceName(name: string, language: string): string {
  return NAMES[name]?.[(language === "en" ? "en" : "zh-CN") satisfies Language] ?? name;
}
