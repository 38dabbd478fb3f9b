"""Names of voice back-ends. Nothing is imported until a name is asked for."""

from __future__ import annotations

from speech.names import Names
from speech.tts.base import TextToSpeech

TABLE: dict[str, str] = {
    "local": "speech.tts.local:LocalSpeech",
    "clone": "speech.tts.clone:CloneSpeech",
    "edge": "speech.tts.edge:EdgeSpeech",
    "fish": "speech.tts.fish:FishSpeech",
    "gpt_sovits": "speech.tts.gpt_sovits:GptSovits",
    "cosyvoice": "speech.tts.cosyvoice:CosyVoice",
    "tencent": "speech.tts.tencent:TencentSpeech",
    "doubao": "speech.tts.doubao:DoubaoSpeech",
    "indextts2": "speech.tts.indextts2:IndexTTS2",
    "xtts_local": "speech.tts.xtts_local:XttsLocal",
    "xtts": "speech.tts.xtts_server:XttsServer",
    "azure": "speech.tts.azure:AzureSpeech",
    "openai_speech": "speech.tts.openai_speech:OpenAISpeech",
}
_NAMES = Names("voice back-end", TextToSpeech, TABLE, "livetalking_studio.tts")  # type: ignore[type-abstract]
names, load_class, create = _NAMES.names, _NAMES.load_class, _NAMES.create
