import { Button, Group, Modal, MultiSelect, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Playlist, Script } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { programmes } from "./programmes";

const MODES = ["loop", "once", "random"] as const;
type Mode = (typeof MODES)[number];
interface Draft {
  readonly id: string | null;
  readonly name: string;
  readonly mode: Mode;
  readonly scripts: readonly string[];
}
const EMPTY: Draft = { id: null, name: "", mode: "loop", scripts: [] };

function save(draft: Draft): Promise<Playlist> {
  const body = { name: draft.name.trim(), mode: draft.mode, items: draft.scripts.map((script_id) => ({ script_id, weight: 1 })) };
  return draft.id === null
    ? must(api().POST("/api/v1/playlists", { body }))
    : must(api().PATCH("/api/v1/playlists/{playlist_id}", { params: { path: { playlist_id: draft.id } }, body }));
}

interface ModalProps {
  readonly draft: Draft;
  readonly scripts: readonly Script[];
  readonly onChange: (draft: Draft) => void;
  readonly onClose: () => void;
}

function PlaylistModal({ draft, scripts, onChange, onClose }: ModalProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const keep = useMutation({
    mutationFn: () => save(draft),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["playlists"] });
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t("floor.room.newPlaylist")} centered size="lg" closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <TextInput label={t("floor.room.name")} maxLength={120} data-autofocus value={draft.name} onChange={(event) => onChange({ ...draft, name: event.currentTarget.value })} />
        <Select
          label={t("floor.room.mode")}
          value={draft.mode}
          allowDeselect={false}
          onChange={(value) => onChange({ ...draft, mode: MODES.find((mode) => mode === value) ?? "loop" })}
          data={MODES.map((mode) => ({ value: mode, label: t(`floor.room.modes.${mode}`) }))}
        />
        <MultiSelect label={t("floor.room.items")} value={[...draft.scripts]} onChange={(value) => onChange({ ...draft, scripts: value })} data={scripts.map((script) => ({ value: script.id, label: script.title }))} />
        {keep.isError && <ErrorNote error={keep.error} />}
        <Group justify="flex-end">
          <Button loading={keep.isPending} disabled={draft.name.trim() === "" || draft.scripts.length === 0} onClick={() => keep.mutate()}>
            {t("floor.room.save")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** Scripts in an order, spoken one after another while nobody asks. */
export function Playlists({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const playlists = useQuery(queries.playlists());
  const scripts = useQuery(queries.scripts());
  const playing = useSyncExternalStore(programmes.subscribe, programmes.state)[sessionId];
  const [draft, setDraft] = useState<Draft | null>(null);
  const [asking, setAsking] = useState<string | null>(null);
  const remove = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/playlists/{playlist_id}", { params: { path: { playlist_id: id } } })),
    onSettled: () => {
      setAsking(null);
      void client.invalidateQueries({ queryKey: ["playlists"] });
    },
  });
  const edit = (row: Playlist) =>
    setDraft({ id: row.id, name: row.name, mode: MODES.find((mode) => mode === row.mode) ?? "loop", scripts: row.items.map((item) => item.script_id) });
  const play = useMutation({
    mutationFn: (id: string) => must(api().POST("/api/v1/playlists/{playlist_id}:play", { params: { path: { playlist_id: id } }, body: { session_id: sessionId } })),
    // Before the answer: the first script is told as soon as it begins.
    onMutate: (id) => programmes.began(sessionId, id),
    onError: () => programmes.ended(sessionId),
  });
  const stop = useMutation({
    mutationFn: (id: string) => must(api().POST("/api/v1/playlists/{playlist_id}:stop", { params: { path: { playlist_id: id } }, body: { session_id: sessionId } })),
    onSuccess: () => programmes.ended(sessionId),
  });
  const title = scripts.data?.find((script) => script.id === playing?.scriptId)?.title ?? "";
  // One that was begun elsewhere is known by its script alone; any list that holds it can end it.
  const isPlaying = (row: Playlist) =>
    playing !== undefined && (playing.playlistId === row.id || (playing.playlistId === null && row.items.some((item) => item.script_id === playing.scriptId)));
  return (
    <Stack gap="sm">
      <Loaded query={playlists}>
        {(rows) => (
          <>
            {rows.length === 0 && (
              <Text size="sm" c="dimmed">
                {t("floor.room.noPlaylists")}
              </Text>
            )}
            {rows.map((row) => (
              <Group key={row.id} justify="space-between" wrap="nowrap" data-playlist={row.name} data-playing={isPlaying(row)}>
                <div style={{ minWidth: 0 }}>
                  <Text size="sm" fw={600} truncate>
                    {row.name}
                  </Text>
                  <Text size="sm" c="dimmed" truncate>
                    {isPlaying(row) ? t("floor.room.playing", { title }) : t(`floor.room.modes.${MODES.find((mode) => mode === row.mode) ?? "loop"}`)}
                  </Text>
                </div>
                <Group gap="xs" wrap="nowrap">
                  <Button size="xs" disabled={row.items.length === 0} aria-label={`${isPlaying(row) ? t("floor.room.stopPlaying") : t("floor.room.play")}: ${row.name}`} onClick={() => (isPlaying(row) ? stop : play).mutate(row.id)}>
                    {isPlaying(row) ? t("floor.room.stopPlaying") : t("floor.room.play")}
                  </Button>
                  <Button size="xs" variant="default" aria-label={`${t("floor.room.edit")}: ${row.name}`} onClick={() => edit(row)}>
                    {t("floor.room.edit")}
                  </Button>
                  <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("common.delete")}: ${row.name}`} onClick={() => setAsking(row.id)}>
                    {t("common.delete")}
                  </Button>
                </Group>
              </Group>
            ))}
          </>
        )}
      </Loaded>
      {remove.isError && <ErrorNote error={remove.error} />}
      {play.isError && <ErrorNote error={play.error} />}
      {stop.isError && <ErrorNote error={stop.error} />}
      <Button variant="default" w="fit-content" disabled={(scripts.data?.length ?? 0) === 0} onClick={() => setDraft(EMPTY)}>
        {t("floor.room.newPlaylist")}
      </Button>
      {draft !== null && <PlaylistModal draft={draft} scripts={scripts.data ?? []} onChange={setDraft} onClose={() => setDraft(null)} />}
      <Confirm
        opened={asking !== null}
        title={t("floor.room.deletePlaylist")}
        consequence={t("floor.room.deletePlaylistText")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => asking !== null && remove.mutate(asking)}
        onClose={() => setAsking(null)}
      />
    </Stack>
  );
}
