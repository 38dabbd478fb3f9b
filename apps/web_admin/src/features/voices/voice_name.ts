import type { TFunction } from "i18next";
import type { Voice } from "../../api/types";

/** A voice's name as the user reads it: the studio's own are named in the page's language, others as they were called. */
export function voiceName(voice: Voice, t: TFunction): string {
  if (!voice.builtin) return voice.name;
  if (voice.language === "auto") return t("voices.ownAuto");
  return voice.language.startsWith("zh") ? t("voices.ownZh") : t("voices.ownEn");
}
