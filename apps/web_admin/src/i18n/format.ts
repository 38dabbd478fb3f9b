import { useTranslation } from "react-i18next";

export interface Format {
  readonly bytes: (value: number) => string;
  readonly duration: (seconds: number) => string;
  readonly when: (iso: string) => string;
  readonly percent: (share: number) => string;
  readonly number: (value: number, digits?: number) => string;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

export function bytesText(value: number): string {
  let amount = value;
  let unit = 0;
  while (amount >= 1000 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${amount.toFixed(unit === 0 || amount >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}

/** Numbers, sizes and times as the reader's language writes them. */
export function useFormat(): Format {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  return {
    bytes: bytesText,
    duration: (seconds) => {
      const whole = Math.max(0, Math.round(seconds));
      if (whole < 60) return t("time.seconds", { count: whole });
      const minutes = Math.floor(whole / 60);
      if (minutes < 60) return t("time.minutes", { minutes, seconds: whole % 60 });
      return t("time.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
    },
    when: (iso) =>
      new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso)),
    percent: (share) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(share),
    number: (value, digits = 2) => new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value),
  };
}
