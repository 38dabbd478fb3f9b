import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import en from "./en";
import zh from "./zh-CN";

export const LANGUAGES = ["zh-CN", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "studio.language";

function preferred(): Language {
  const kept = localStorage.getItem(KEY);
  const found = LANGUAGES.find((language) => language === kept);
  return found ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en");
}

export async function startLanguages(): Promise<void> {
  i18next.on("languageChanged", (language) => {
    document.documentElement.lang = language;
  });
  await i18next.use(initReactI18next).init({
    lng: preferred(),
    fallbackLng: false,
    resources: { en: { translation: en }, "zh-CN": { translation: zh } },
    interpolation: { escapeValue: false },
    returnNull: false,
  });
}

export function hasChosenLanguage(): boolean {
  return localStorage.getItem(KEY) !== null;
}

/** Follows the owner's choice: a language, or the system's own. */
export function applyLanguage(choice: Language | "auto"): void {
  if (choice === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice);
  void i18next.changeLanguage(preferred());
}

export function chooseLanguage(language: Language): void {
  localStorage.setItem(KEY, language);
  void i18next.changeLanguage(language);
}
