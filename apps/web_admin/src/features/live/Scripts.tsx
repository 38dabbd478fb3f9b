import { Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Script } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";

interface Draft {
  readonly id: string | null;
  readonly title: string;
  readonly text: string;
}
const EMPTY: Draft = { id: null, title: "", text: "" };

function save(draft: Draft): Promise<Script> {
  const body = { title: draft.title.trim(), text: draft.text.trim() };
  return draft.id === null
    ? must(api().POST("/api/v1/scripts", { body }))
    : must(api().PATCH("/api/v1/scripts/{script_id}", { params: { path: { script_id: draft.id } }, body }));
}

function ScriptModal({ draft, onChange, onClose }: { draft: Draft; onChange: (draft: Draft) => void; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const keep = useMutation({
    mutationFn: () => save(draft),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["scripts"] });
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t("floor.room.newScript")} centered size="lg" closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <TextInput label={t("floor.room.title")} maxLength={120} data-autofocus value={draft.title} onChange={(event) => onChange({ ...draft, title: event.currentTarget.value })} />
        <Textarea label={t("floor.room.text")} autosize minRows={4} maxRows={14} maxLength={10_000} value={draft.text} onChange={(event) => onChange({ ...draft, text: event.currentTarget.value })} />
        {keep.isError && <ErrorNote error={keep.error} />}
        <Group justify="flex-end">
          <Button loading={keep.isPending} disabled={draft.title.trim() === "" || draft.text.trim() === ""} onClick={() => keep.mutate()}>
            {t("floor.room.save")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** Texts that are kept, each spoken with one click. */
export function Scripts({ onSay }: { onSay: (text: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const scripts = useQuery(queries.scripts());
  const [draft, setDraft] = useState<Draft | null>(null);
  const [asking, setAsking] = useState<string | null>(null);
  const remove = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/scripts/{script_id}", { params: { path: { script_id: id } } })),
    onSettled: () => {
      setAsking(null);
      void client.invalidateQueries({ queryKey: ["scripts"] });
      void client.invalidateQueries({ queryKey: ["playlists"] });
    },
  });
  return (
    <Stack gap="sm">
      <Loaded query={scripts}>
        {(rows) => (
          <>
            {rows.length === 0 && (
              <Text size="sm" c="dimmed">
                {t("floor.room.noScripts")}
              </Text>
            )}
            {rows.map((script) => (
              <Group key={script.id} justify="space-between" wrap="nowrap" data-script={script.title}>
                <div style={{ minWidth: 0 }}>
                  <Text size="sm" fw={600} truncate>
                    {script.title}
                  </Text>
                  <Text size="sm" c="dimmed" truncate>
                    {script.text}
                  </Text>
                </div>
                <Group gap="xs" wrap="nowrap">
                  <Button size="xs" aria-label={`${t("floor.room.say")}: ${script.title}`} onClick={() => onSay(script.text)}>
                    {t("floor.room.say")}
                  </Button>
                  <Button size="xs" variant="default" aria-label={`${t("floor.room.edit")}: ${script.title}`} onClick={() => setDraft({ id: script.id, title: script.title, text: script.text })}>
                    {t("floor.room.edit")}
                  </Button>
                  <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("common.delete")}: ${script.title}`} onClick={() => setAsking(script.id)}>
                    {t("common.delete")}
                  </Button>
                </Group>
              </Group>
            ))}
          </>
        )}
      </Loaded>
      {remove.isError && <ErrorNote error={remove.error} />}
      <Button variant="default" w="fit-content" onClick={() => setDraft(EMPTY)}>
        {t("floor.room.newScript")}
      </Button>
      {draft !== null && <ScriptModal draft={draft} onChange={setDraft} onClose={() => setDraft(null)} />}
      <Confirm
        opened={asking !== null}
        title={t("floor.room.deleteScript")}
        consequence={t("floor.room.deleteScriptText")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => asking !== null && remove.mutate(asking)}
        onClose={() => setAsking(null)}
      />
    </Stack>
  );
}
