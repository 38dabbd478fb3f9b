import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { queries } from "../api/queries";
import { applyLanguage, hasChosenLanguage } from "../i18n";

/** In a browser where nobody has chosen a language yet, the one of the studio's settings holds. */
export function useOwnerLanguage(): void {
  const settings = useQuery(queries.settings());
  const language = settings.data?.language;
  useEffect(() => {
    if (language !== undefined && language !== "auto" && !hasChosenLanguage()) applyLanguage(language);
  }, [language]);
}
