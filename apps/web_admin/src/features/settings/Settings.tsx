import { Tabs } from "@mantine/core";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { PageHead } from "../../components/PageHead";
import { AccessSection } from "./AccessSection";
import { DevicesSection } from "./DevicesSection";
import { DiagnosticsSection } from "./DiagnosticsSection";
import { GeneralSection } from "./GeneralSection";
import { JudgingSection } from "./JudgingSection";
import { PersonsSection } from "./PersonsSection";
import { ServicesSection } from "./ServicesSection";
import { StorageSection } from "./StorageSection";
import { UpdatesSection } from "./UpdatesSection";

const SECTIONS = {
  general: GeneralSection,
  devices: DevicesSection,
  services: ServicesSection,
  storage: StorageSection,
  judging: JudgingSection,
  access: AccessSection,
  persons: PersonsSection,
  updates: UpdatesSection,
  diagnostics: DiagnosticsSection,
} as const satisfies Record<string, ComponentType>;
type SectionName = keyof typeof SECTIONS;
const NAMES = Object.keys(SECTIONS) as SectionName[];

/** The owner's settings, a section at a time; the address names the section. */
export function Settings() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const open = NAMES.find((name) => name === params.get("section")) ?? "general";
  const Section = SECTIONS[open];
  return (
    <>
      <PageHead title={t("settings.title")} lead={t("settings.lead")} />
      <Tabs value={open} onChange={(value) => setParams({ section: value ?? "general" }, { replace: true })} keepMounted={false}>
        <Tabs.List mb="lg">
          {NAMES.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t(`settings.tabs.${name}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={open}>
          <Section />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}
