import { useTranslation } from "react-i18next";
import type { TwoLanguages } from "../api/types";

/** Picks the reader's language from a sentence the studio sent in both. */
export function useBilingual(): (text: TwoLanguages) => string {
  const { i18n } = useTranslation();
  return (text) => (i18n.language === "en" ? text.en : text["zh-CN"]);
}
