import { Button, Checkbox, Group, PasswordInput, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import type { Devices, Output, OutputCreate, Trouble } from "../../api/types";
import { useEvents } from "../../app/EventsProvider";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Note } from "../../components/Note";
import { Tag, type Tone } from "../../components/Tag";
import { useBilingual } from "../../i18n/bilingual";
import { useFormat } from "../../i18n/format";

const KINDS = ["rtmp", "whip", "camera", "sound"] as const;
type Kind = (typeof KINDS)[number];
const TONES: Record<Output["state"], Tone> = { starting: "info", live: "ok", retrying: "warning", failed: "error", ended: "idle" };
const FIRST = "";
const LOCAL = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** The host of an address that is not this machine, which the user has to confirm; null where there is nothing to confirm. */
export function foreignHost(url: string): string | null {
  try {
    const { hostname } = new URL(url.trim().replace(/^rtmps?:/i, "http:"));
    return hostname === "" || LOCAL.has(hostname) ? null : hostname;
  } catch {
    return null;
  }
}

interface Draft {
  readonly kind: Kind;
  readonly url: string;
  readonly secret: string;
  readonly device: string;
  readonly confirmed: boolean;
}

export function outputOf(draft: Draft): OutputCreate {
  const device = draft.device === FIRST ? null : draft.device;
  const host = foreignHost(draft.url);
  const confirm_host = draft.confirmed ? host : null;
  const secret = draft.secret === "" ? null : draft.secret;
  if (draft.kind === "rtmp") return { kind: "rtmp", url: draft.url.trim(), key: secret, confirm_host } as OutputCreate;
  if (draft.kind === "whip") return { kind: "whip", url: draft.url.trim(), token: secret, confirm_host } as OutputCreate;
  if (draft.kind === "camera") return { kind: "camera", device } as OutputCreate;
  return { kind: "sound", device: device === null ? null : Number(device) } as OutputCreate;
}

function TroubleNote({ trouble }: { trouble: Trouble }) {
  const bilingual = useBilingual();
  return (
    <Note tone="warning" title={bilingual(trouble.message)}>
      <Text size="sm">{bilingual(trouble.remedy)}</Text>
    </Note>
  );
}

function OutputRow({ output, onStop }: { output: Output; onStop: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Stack gap={6} component="li" data-output={output.kind} data-state={output.state}>
      <Group justify="space-between" wrap="nowrap">
        <div style={{ minWidth: 0 }}>
          <Text size="sm" fw={600}>
            {t(`floor.outputs.kinds.${output.kind}`)}
          </Text>
          <Text size="sm" c="dimmed" className="mono" lang="en" truncate>
            {output.target}
          </Text>
        </div>
        <Group gap="xs" wrap="nowrap">
          <Tag tone={TONES[output.state]}>{t(`floor.outputs.state.${output.state}`)}</Tag>
          <Button size="xs" variant="default" onClick={onStop}>
            {t("floor.outputs.stop")}
          </Button>
        </Group>
      </Group>
      {output.state === "live" && (
        <Text size="sm" c="dimmed">
          {format.number(output.bitrate / 1e6, 2)} Mb/s · {format.duration(output.live_s)}
          {output.dropped > 0 && ` · ${t("floor.outputs.dropped", { count: output.dropped })}`}
        </Text>
      )}
      {output.last_error !== null && output.state !== "live" && <TroubleNote trouble={output.last_error} />}
    </Stack>
  );
}

interface AddProps {
  readonly sessionId: string;
  readonly devices: Devices | undefined;
}

function AddOutput({ sessionId, devices }: AddProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>({ kind: "rtmp", url: "", secret: "", device: FIRST, confirmed: false });
  const change = (part: Partial<Draft>) => setDraft((known) => ({ ...known, ...part }));
  const add = useMutation({
    mutationFn: () => must(api().POST("/api/v1/live/sessions/{session_id}/outputs", { params: { path: { session_id: sessionId } }, body: outputOf(draft) })),
    onSuccess: () => change({ secret: "", confirmed: false }),
    onSettled: () => client.invalidateQueries({ queryKey: ["outputs", sessionId] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  const toAddress = draft.kind === "rtmp" || draft.kind === "whip" ? draft.kind : null;
  const trouble = draft.kind === "camera" ? devices?.camera_trouble : draft.kind === "sound" ? devices?.sound_trouble : null;
  const choices =
    draft.kind === "camera"
      ? (devices?.cameras ?? []).map((camera) => ({ value: camera.device ?? FIRST, label: camera.name }))
      : (devices?.sounds ?? []).filter((sound) => sound.outputs > 0).map((sound) => ({ value: String(sound.index), label: sound.name }));
  const host = toAddress === null ? null : foreignHost(draft.url);
  const ready = toAddress === null ? trouble == null : draft.url.trim() !== "" && (host === null || draft.confirmed);
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Select
          label={t("floor.outputs.kind")}
          value={draft.kind}
          allowDeselect={false}
          onChange={(value) => change({ kind: KINDS.find((kind) => kind === value) ?? "rtmp", device: FIRST })}
          data={KINDS.map((kind) => ({ value: kind, label: t(`floor.outputs.kinds.${kind}`) }))}
        />
        {toAddress !== null && (
          <>
            <TextInput label={t(`floor.outputs.url.${toAddress}`)} autoComplete="off" maxLength={1000} value={draft.url} onChange={(event) => change({ url: event.currentTarget.value, confirmed: false })} />
            <PasswordInput label={t(`floor.outputs.key.${toAddress}`)} autoComplete="off" maxLength={1000} visibilityToggleButtonProps={{ "aria-label": t("login.show") }} value={draft.secret} onChange={(event) => change({ secret: event.currentTarget.value })} />
          </>
        )}
        {host !== null && <Checkbox label={t("floor.outputs.confirm", { host })} checked={draft.confirmed} onChange={(event) => change({ confirmed: event.currentTarget.checked })} />}
        {trouble != null && <TroubleNote trouble={trouble} />}
        {toAddress === null && trouble == null && (
          <Select label={t("floor.outputs.device")} value={draft.device} allowDeselect={false} onChange={(value) => change({ device: value ?? FIRST })} data={[{ value: FIRST, label: t("floor.outputs.standard") }, ...choices.filter((choice) => choice.value !== FIRST)]} />
        )}
        {add.isError && <ErrorNote error={add.error} />}
        <Button type="submit" w="fit-content" disabled={!ready} loading={add.isPending}>
          {t("floor.outputs.start")}
        </Button>
      </Stack>
    </form>
  );
}

/** Where a session goes beside this page, and how it fares there. */
export function Outputs({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const params = { path: { session_id: sessionId } };
  const devices = useQuery({ queryKey: ["devices"], queryFn: () => must(api().GET("/api/v1/system/devices")), staleTime: 30_000 });
  const outputs = useQuery({
    queryKey: ["outputs", sessionId],
    queryFn: async () => (await must(api().GET("/api/v1/live/sessions/{session_id}/outputs", { params }))).items,
    refetchInterval: 2000,
    retry: false,
  });
  const remove = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/live/sessions/{session_id}/outputs/{output_id}", { params: { path: { session_id: sessionId, output_id: id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: ["outputs", sessionId] }),
  });
  useEvents((event) => {
    if (event.type === "live" && event.session_id === sessionId && event.name === "output_state") void client.invalidateQueries({ queryKey: ["outputs", sessionId] });
  });
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">
        {t("floor.outputs.lead")}
      </Text>
      <Loaded query={outputs}>
        {(rows) =>
          rows.length === 0 ? (
            <Text size="sm">{t("floor.outputs.none")}</Text>
          ) : (
            <Stack gap="sm" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
              {rows.map((output) => (
                <OutputRow key={output.id} output={output} onStop={() => remove.mutate(output.id)} />
              ))}
            </Stack>
          )
        }
      </Loaded>
      {remove.isError && <ErrorNote error={remove.error} />}
      <Text fw={600} size="sm">
        {t("floor.outputs.add")}
      </Text>
      <AddOutput sessionId={sessionId} devices={devices.data} />
    </Stack>
  );
}
