import { useTranslation } from "react-i18next";
import type en from "./en";

type StageName = keyof typeof en.stage;

/** A job's stage in the reader's language; a stage this page does not know yet is simply "working". */
export function useStageName(): (stage: string) => string {
  const { t, i18n } = useTranslation();
  return (stage) => (i18n.exists(`stage.${stage}`) ? t(`stage.${stage as StageName}`) : t("stage.working"));
}

type KindName = keyof typeof en.kind;

/** A job's kind in the reader's language. */
export function useKindName(): (kind: string) => string {
  const { t, i18n } = useTranslation();
  return (kind) => {
    const key = kind.replace(":", "_");
    return i18n.exists(`kind.${key}`) ? t(`kind.${key as KindName}`) : kind;
  };
}
