import { Checkbox, Stack, Text, TextInput, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { type ConsentForm, endOf, SCOPES } from "./consent";

interface ConsentPanelProps {
  readonly form: ConsentForm;
  readonly statement: string;
  readonly onChange: (form: ConsentForm) => void;
}

/** Who is in the recording, and what that person allows. */
export function ConsentPanel({ form, statement, onChange }: ConsentPanelProps) {
  const { t } = useTranslation();
  return (
    <Stack className="panel" gap="md" component="section">
      <Title order={2} size="h4">
        {t("consent.title")}
      </Title>
      <Text size="sm" c="dimmed">
        {t("consent.lead")}
      </Text>
      <TextInput
        label={t("consent.person")}
        description={t("consent.personHint")}
        required
        maxLength={120}
        value={form.person}
        onChange={(event) => onChange({ ...form, person: event.currentTarget.value })}
      />
      <TextInput
        label={t("consent.purpose")}
        description={t("consent.purposeHint")}
        required
        maxLength={500}
        value={form.purpose}
        onChange={(event) => onChange({ ...form, purpose: event.currentTarget.value })}
      />
      <Checkbox.Group
        label={t("consent.scope")}
        value={[...form.scope]}
        onChange={(values) => onChange({ ...form, scope: SCOPES.filter((name) => values.includes(name)) })}
      >
        <Stack gap={8} mt={8}>
          {SCOPES.map((scope) => (
            <Checkbox key={scope} value={scope} label={t(`scope.${scope}`)} description={t(`scopeHint.${scope}`)} />
          ))}
        </Stack>
      </Checkbox.Group>
      <TextInput
        type="date"
        label={t("consent.until")}
        description={t("consent.untilHint")}
        value={form.until}
        error={endOf(form.until) === undefined ? t("consent.untilOver") : undefined}
        onChange={(event) => onChange({ ...form, until: event.currentTarget.value })}
      />
      <Text size="sm" component="blockquote" m={0} p="sm" style={{ borderLeft: "3px solid var(--studio-line)" }}>
        {statement}
      </Text>
      <Checkbox
        label={t("consent.agree")}
        checked={form.agreed}
        onChange={(event) => onChange({ ...form, agreed: event.currentTarget.checked })}
      />
    </Stack>
  );
}
