import { Button, Group, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { PersonGone } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Note } from "../../components/Note";
import { useFormat } from "../../i18n/format";

const KINDS = ["consents", "takes", "avatars", "voices", "models", "jobs", "recordings"] as const satisfies readonly (keyof PersonGone["what"])[];

function Belongings({ gone }: { gone: PersonGone }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <>
      <dl className="figures" aria-label={t("persons.what")}>
        {KINDS.filter((kind) => gone.what[kind].length > 0).map((kind) => (
          <div key={kind} data-belonging={kind}>
            <dt>{t(`persons.kinds.${kind}`)}</dt>
            <dd>{gone.what[kind].length}</dd>
          </div>
        ))}
      </dl>
      <Text size="sm" c="dimmed">
        {t("persons.size", { count: gone.files, size: format.bytes(gone.size_bytes) })}
      </Text>
    </>
  );
}

interface DeleteProps {
  readonly person: string;
  readonly plan: PersonGone;
  readonly onClose: () => void;
}

/** Names what goes and asks for the person's name once more: nothing of it comes back. */
function DeleteModal({ person, plan, onClose }: DeleteProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => must(api().POST("/api/v1/persons:delete", { body: { person, dry_run: false } })),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <Modal opened onClose={onClose} title={t("persons.deleteTitle", { person })} centered size="lg" closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        {remove.data === undefined ? (
          <>
            <Text size="sm">{t("persons.consequence")}</Text>
            <Belongings gone={plan} />
            <TextInput label={t("persons.type", { person })} autoComplete="off" maxLength={120} data-autofocus value={typed} onChange={(event) => setTyped(event.currentTarget.value)} />
            {remove.isError && <ErrorNote error={remove.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                {t("common.cancel")}
              </Button>
              <Button color="red.9" loading={remove.isPending} disabled={typed.trim() !== person} onClick={() => remove.mutate()}>
                {t("persons.delete")}
              </Button>
            </Group>
          </>
        ) : (
          <>
            <Note tone="ok" title={t("persons.gone", { person })}>
              {remove.data.sessions.length > 0 && <Text size="sm">{t("persons.sessions", { count: remove.data.sessions.length })}</Text>}
            </Note>
            <Belongings gone={remove.data} />
            <Group justify="flex-end">
              <Button onClick={onClose}>{t("common.close")}</Button>
            </Group>
          </>
        )}
      </Stack>
    </Modal>
  );
}

/** What is held of a person, and how all of it is deleted in one go: looked at first, then done. */
export function PersonsSection() {
  const { t } = useTranslation();
  const takes = useQuery(queries.takes());
  const people = [...new Set((takes.data ?? []).map((take) => take.consent.person))].sort();
  const [person, setPerson] = useState("");
  const [deleting, setDeleting] = useState<string | null>(null);
  const look = useMutation({ mutationFn: (name: string) => must(api().POST("/api/v1/persons:delete", { body: { person: name, dry_run: true } })) });
  const change = (name: string) => {
    setPerson(name);
    look.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    look.mutate(person.trim());
  };
  return (
    <Stack className="panel" gap="md">
      <Text size="sm" c="dimmed">
        {t("persons.lead")}
      </Text>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {people.length > 0 && (
            <Select label={t("persons.known")} placeholder={t("persons.choose")} value={people.includes(person) ? person : null} data={people} onChange={(value) => change(value ?? "")} />
          )}
          <TextInput label={t("persons.name")} description={t("persons.nameHint")} maxLength={120} value={person} onChange={(event) => change(event.currentTarget.value)} />
          <Button type="submit" w="fit-content" disabled={person.trim() === ""} loading={look.isPending}>
            {t("persons.look")}
          </Button>
        </Stack>
      </form>
      {look.isError && <ErrorNote error={look.error} />}
      {look.data !== undefined && (
        <>
          <Belongings gone={look.data} />
          <Button w="fit-content" color="red.9" onClick={() => setDeleting(person.trim())}>
            {t("persons.deleteAll")}
          </Button>
        </>
      )}
      {deleting !== null && look.data !== undefined && (
        <DeleteModal
          person={deleting}
          plan={look.data}
          onClose={() => {
            setDeleting(null);
            change("");
          }}
        />
      )}
    </Stack>
  );
}
