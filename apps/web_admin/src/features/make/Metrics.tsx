import { useTranslation } from "react-i18next";
import { useFormat } from "../../i18n/format";

export const METRICS = ["lip_gap_corr", "gap_std_ratio", "lag_ms", "sharpness", "psnr", "jitter", "seam", "closure_recall", "silence_motion_ratio"] as const;

/** The figures of a version, judged on a part of the take that training never saw. */
export function Metrics({ metrics }: { metrics: Readonly<Record<string, unknown>> }) {
  const { t } = useTranslation();
  const format = useFormat();
  const measured = METRICS.flatMap((name) => {
    const value = metrics[name];
    return typeof value === "number" ? [{ name, value }] : [];
  });
  if (measured.length === 0) return null;
  return (
    <dl className="figures">
      {measured.map(({ name, value }) => (
        <div key={name} data-metric={name}>
          <dt>{t(`metric.${name}`)}</dt>
          <dd>{format.number(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
