import { useTranslation } from "react-i18next";
import { Icon } from "../../components/Icon";
import { type Step, STEPS } from "./steps";

interface StepBarProps {
  readonly step: Step;
  readonly open: ReadonlySet<Step>;
  readonly onStep: (step: Step) => void;
}

export function StepBar({ step, open, onStep }: StepBarProps) {
  const { t } = useTranslation();
  const place = STEPS.indexOf(step);
  return (
    <nav aria-label={t("make.steps")}>
      <ol className="stepper">
        {STEPS.map((name, index) => (
          <li key={name}>
            <button
              type="button"
              className="step"
              disabled={!open.has(name)}
              aria-current={name === step ? "step" : undefined}
              data-done={index < place && open.has(name)}
              onClick={() => onStep(name)}
            >
              <span className="step-number">{index < place && open.has(name) ? <Icon name="ok" size={14} /> : index + 1}</span>
              {t(`step.${name}`)}
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
