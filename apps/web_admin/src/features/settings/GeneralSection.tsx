import { type MantineColorScheme, NumberInput, Select, SimpleGrid, Stack, Switch, useMantineColorScheme } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { SettingsValues } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { applyLanguage } from "../../i18n";
import { useSettings } from "./use_settings";

const LANGUAGES = ["auto", "zh-CN", "en"] as const;
const THEMES = ["auto", "light", "dark"] as const satisfies readonly MantineColorScheme[];

function General({ values, change }: { values: SettingsValues; change: ReturnType<typeof useSettings>["change"] }) {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const names = { auto: t("settings.general.auto"), "zh-CN": "中文", en: "English" };
  const chooseLanguage = (value: string | null) => {
    const language = LANGUAGES.find((name) => name === value);
    if (language === undefined) return;
    applyLanguage(language);
    change.mutate({ language });
  };
  return (
    <Stack className="panel" gap="lg">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <Select
          label={t("settings.general.language")}
          value={values.language}
          allowDeselect={false}
          onChange={chooseLanguage}
          data={LANGUAGES.map((name) => ({ value: name, label: names[name] }))}
        />
        <Select
          label={t("settings.general.theme")}
          value={colorScheme}
          allowDeselect={false}
          onChange={(value) => setColorScheme(THEMES.find((name) => name === value) ?? "auto")}
          data={THEMES.map((name) => ({ value: name, label: t(`settings.general.themes.${name}`) }))}
        />
      </SimpleGrid>
      <NumberInput
        label={t("settings.general.sessions")}
        description={t("settings.general.sessionsHint")}
        min={1}
        max={64}
        clampBehavior="strict"
        allowDecimal={false}
        maw={420}
        value={values.max_sessions}
        hideControls
        onChange={(value) => typeof value === "number" && change.mutate({ max_sessions: value })}
      />
      <Switch
        label={t("settings.general.yields")}
        description={t("settings.general.yieldsHint")}
        checked={values.training_yields_to_live}
        onChange={(event) => change.mutate({ training_yields_to_live: event.currentTarget.checked })}
      />
      {change.isError && <ErrorNote error={change.error} />}
    </Stack>
  );
}

/** Language, colours, and how much may happen at once. */
export function GeneralSection() {
  const { query, change } = useSettings();
  return <Loaded query={query}>{(values) => <General values={values} change={change} />}</Loaded>;
}
