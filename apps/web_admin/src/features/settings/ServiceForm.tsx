import { Button, Group, NumberInput, PasswordInput, Select, SimpleGrid, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import type { Service, ServiceField } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import type { settingsEn } from "../../i18n/areas/settings";

type Value = string | number | boolean | null;
type Changes = Readonly<Record<string, Value>>;
type FieldName = keyof typeof settingsEn.field;

const FIRST = new Set(["base_url", "api_key", "key", "token", "app_id", "secret_id", "secret_key", "region", "model", "default_voice", "voice_type"]);

/** What a form's field must become when it is sent: an emptied one is taken back. */
export function changeOf(field: ServiceField, typed: string | number | boolean): Value {
  return typeof typed === "string" && typed.trim() === "" ? null : field.kind === "number" ? Number(typed) : typed;
}

interface FieldProps {
  readonly field: ServiceField;
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}

function Field({ field, value, onChange }: FieldProps) {
  const { t, i18n } = useTranslation();
  const known = i18n.exists(`settings.field.${field.name}`);
  const label = known ? t(`settings.field.${field.name as FieldName}`) : <span lang="en">{field.name}</span>;
  if (field.kind === "flag") return <Switch label={label} checked={value === true} onChange={(event) => onChange(event.currentTarget.checked)} />;
  if (field.kind === "choice") return <Select label={label} value={String(value ?? "")} data={field.choices} allowDeselect={false} onChange={onChange} />;
  if (field.kind === "number") {
    return <NumberInput label={label} value={typeof value === "number" || typeof value === "string" ? value : ""} hideControls onChange={(next) => onChange(changeOf(field, next))} />;
  }
  if (field.kind === "secret") {
    return (
      <PasswordInput
        label={label}
        autoComplete="off"
        placeholder={field.is_set ? "••••••••" : ""}
        description={field.is_set && value === null ? t("settings.services.secretHint") : undefined}
        visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
        value={typeof value === "string" ? value : ""}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
    );
  }
  return <TextInput label={label} autoComplete="off" value={String(value ?? "")} onChange={(event) => onChange(event.currentTarget.value)} />;
}

/** A service's settings; only what was touched is sent, so a credential that is kept stays as it is. */
export function ServiceForm({ service }: { service: Service }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [touched, setTouched] = useState<Changes>({});
  const params = { path: { kind: service.kind, name: service.name } };
  const save = useMutation({
    mutationFn: (fields: Changes) => must(api().PATCH("/api/v1/settings/services/{kind}/{name}", { params, body: { fields } })),
    onSuccess: () => {
      setTouched({});
      void client.invalidateQueries({ queryKey: ["services"] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const byName = new Map(service.fields.map((field) => [field.name, field]));
    const changes = Object.entries(touched).flatMap(([name, value]) => {
      const field = byName.get(name);
      return field === undefined ? [] : [[name, value === null ? null : changeOf(field, value)] as const];
    });
    save.mutate(Object.fromEntries(changes));
  };
  const shown = (field: ServiceField) => (field.name in touched ? (touched[field.name] ?? null) : field.value);
  const rows = (fields: readonly ServiceField[]) => (
    <SimpleGrid cols={{ base: 1, sm: 2 }}>
      {fields.map((field) => (
        <Field key={field.name} field={field} value={shown(field)} onChange={(value) => setTouched({ ...touched, [field.name]: value })} />
      ))}
    </SimpleGrid>
  );
  const kept = service.fields.filter((field) => field.by_owner);
  const more = service.fields.filter((field) => !FIRST.has(field.name));
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {rows(service.fields.filter((field) => FIRST.has(field.name)))}
        {more.length > 0 && (
          <details>
            <summary className="more">{t("settings.services.more")}</summary>
            <div style={{ marginTop: 12 }}>{rows(more)}</div>
          </details>
        )}
        {save.isError && <ErrorNote error={save.error} />}
        <Group gap="sm">
          <Button type="submit" loading={save.isPending} disabled={Object.keys(touched).length === 0}>
            {t("settings.save")}
          </Button>
          {kept.length > 0 && (
            <Button variant="default" onClick={() => save.mutate(Object.fromEntries(kept.map((field) => [field.name, null])))}>
              {t("settings.services.remove")}
            </Button>
          )}
          {save.isSuccess && Object.keys(touched).length === 0 && (
            <Text size="sm" role="status">
              {t("settings.saved")}
            </Text>
          )}
        </Group>
      </Stack>
    </form>
  );
}
