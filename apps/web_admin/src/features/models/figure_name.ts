import { useTranslation } from "react-i18next";
import type en from "../../i18n/en";

type MetricName = keyof typeof en.metric;

/** A figure's name in the reader's language; one this page does not know yet goes by its own name. */
export function useFigureName(): (name: string) => string {
  const { t, i18n } = useTranslation();
  return (name) => (i18n.exists(`metric.${name}`) ? t(`metric.${name as MetricName}`) : name);
}
