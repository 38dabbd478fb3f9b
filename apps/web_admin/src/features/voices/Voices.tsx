import { Button, Group, Select, SimpleGrid, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address, getConnection } from "../../api/connection";
import { offline, toApiError } from "../../api/errors";
import { queries } from "../../api/queries";
import type { Voice } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { ExportModal } from "../../components/ExportModal";
import { Icon } from "../../components/Icon";
import { ImportModal } from "../../components/ImportModal";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Tag } from "../../components/Tag";
import { Versions } from "../models/Versions";
import { Withdraw } from "../../components/Withdraw";
import { voiceName } from "./voice_name";

const SAMPLES = { zh: "大家好，欢迎来到直播间。", en: "Hello everyone, welcome to the show." } as const;

/** The sentence as the voice speaks it: the address of a sound that the caller lets go of. */
async function speak(voiceId: string, text: string): Promise<string> {
  const response = await fetch(address(`/api/v1/voices/${encodeURIComponent(voiceId)}:preview`), {
    method: "POST",
    headers: { Authorization: `Bearer ${getConnection()?.token ?? ""}`, "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
  }).catch(() => {
    throw offline();
  });
  if (!response.ok) throw toApiError(response.status, await response.json().catch(() => null));
  return URL.createObjectURL(await response.blob());
}

/** Name, versions, taking along and deletion of a voice that somebody made. */
function VoiceActs({ voice }: { voice: Voice }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [open, setOpen] = useState<"versions" | "export" | "delete" | null>(null);
  const close = () => setOpen(null);
  const models = useQuery(queries.models());
  const versions = models.data?.filter((model) => model.owner_id === voice.id).length ?? 0;
  const remove = useMutation({
    mutationFn: () => must(api().DELETE("/api/v1/voices/{voice_id}", { params: { path: { voice_id: voice.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["voices"] }),
    onSettled: close,
  });
  const label = (act: string) => `${act}: ${voice.name}`;
  return (
    <>
      <Group gap="xs">
        {versions > 0 && (
          <Button size="xs" variant="default" aria-label={label(t("library.versions"))} onClick={() => setOpen("versions")}>
            {t("library.versions")}
          </Button>
        )}
        {voice.model_id !== null && (
          <Button size="xs" variant="default" aria-label={label(t("library.export"))} onClick={() => setOpen("export")}>
            {t("library.export")}
          </Button>
        )}
        {voice.consent_id !== null && (
          <Withdraw name={voice.name} begin={() => must(api().POST("/api/v1/voices/{voice_id}:withdraw", { params: { path: { voice_id: voice.id } } }))} />
        )}
        <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={label(t("common.delete"))} onClick={() => setOpen("delete")}>
          {t("common.delete")}
        </Button>
      </Group>
      {remove.isError && <ErrorNote error={remove.error} />}
      {open === "versions" && <Versions ownerId={voice.id} name={voice.name} onClose={close} />}
      {open === "export" && <ExportModal name={voice.name} begin={(passphrase) => must(api().POST("/api/v1/voices:export", { body: { voice_id: voice.id, passphrase } }))} onClose={close} />}
      <Confirm
        opened={open === "delete"}
        title={t("avatars.deleteTitle", { name: voice.name })}
        consequence={`${t("library.deleteVoice")} ${versions > 0 ? t("library.deleteVersions", { count: versions }) : ""}`}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={close}
      />
    </>
  );
}

function Side({ label, voices, first, text }: { label: string; voices: readonly Voice[]; first: string; text: string }) {
  const { t } = useTranslation();
  const [id, setId] = useState(first);
  const preview = useMutation({ mutationFn: () => speak(id, text) });
  const sound = preview.data;
  useEffect(() => () => {
    if (sound !== undefined) URL.revokeObjectURL(sound);
  }, [sound]);
  return (
    <Stack gap="xs">
      <Select
        label={label}
        value={id}
        allowDeselect={false}
        onChange={(value) => {
          preview.reset();
          setId(value ?? first);
        }}
        data={voices.map((voice) => ({ value: voice.id, label: voiceName(voice, t) }))}
      />
      <Button variant="default" leftSection={<Icon name="play" size={16} />} loading={preview.isPending} disabled={text === ""} aria-label={`${t("voices.play")}: ${label}`} onClick={() => preview.mutate()}>
        {t("voices.play")}
      </Button>
      {preview.isError && <ErrorNote error={preview.error} />}
      {sound !== undefined && <audio src={sound} autoPlay controls aria-label={label} style={{ width: "100%" }} />}
    </Stack>
  );
}

/** The same sentence in two voices, one after the other. */
function CompareVoices({ voices }: { voices: readonly Voice[] }) {
  const { t, i18n } = useTranslation();
  const [text, setText] = useState<string>(SAMPLES[i18n.language === "en" ? "en" : "zh"]);
  const ready = voices.filter((voice) => voice.state === "ready");
  const [first, second] = ready;
  if (first === undefined || second === undefined) return null;
  return (
    <details className="panel">
      <summary className="more">{t("library.compareVoices")}</summary>
      <Stack gap="md" mt="md">
        <TextInput label={t("voices.sentence")} maxLength={500} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <Side label={t("library.first")} voices={ready} first={first.id} text={text.trim()} />
          <Side label={t("library.second")} voices={ready} first={second.id} text={text.trim()} />
        </SimpleGrid>
      </Stack>
    </details>
  );
}

function VoiceRow({ voice }: { voice: Voice }) {
  const { t } = useTranslation();
  const chinese = voice.language.startsWith("zh");
  const [text, setText] = useState<string>(SAMPLES[chinese ? "zh" : "en"]);
  const preview = useMutation({ mutationFn: () => speak(voice.id, text.trim()) });
  const sound = preview.data;
  useEffect(() => () => {
    if (sound !== undefined) URL.revokeObjectURL(sound);
  }, [sound]);
  return (
    <Stack className="panel" p="md" gap="sm" component="article" data-voice={voice.id}>
      <Group gap="sm">
        <Title order={2} size="h6">
          {voiceName(voice, t)}
        </Title>
        <Tag tone={voice.state === "ready" ? "ok" : "idle"}>{t(`voiceState.${voice.state}`)}</Tag>
        {voice.language !== "auto" && <Tag tone="idle">{chinese ? t("voices.zh") : t("voices.en")}</Tag>}
        {voice.builtin && <Text size="sm" c="dimmed">{t("voices.builtin")}</Text>}
      </Group>
      {!voice.builtin && <VoiceActs voice={voice} />}
      <Group align="flex-end" wrap="nowrap">
        <TextInput flex={1} label={t("voices.sentence")} maxLength={500} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        <Button leftSection={<Icon name="play" size={16} />} loading={preview.isPending} disabled={text.trim() === ""} onClick={() => preview.mutate()}>
          {t("voices.play")}
        </Button>
      </Group>
      {preview.isError && <ErrorNote error={preview.error} />}
      {sound !== undefined && <audio src={sound} autoPlay controls aria-label={t("voices.sound", { name: voiceName(voice, t) })} style={{ width: "100%" }} />}
    </Stack>
  );
}

export function Voices() {
  const { t } = useTranslation();
  const voices = useQuery(queries.voices());
  const [bringing, bring] = useDisclosure();
  return (
    <>
      <PageHead title={t("voices.title")} lead={t("voices.lead")}>
        <Button variant="default" onClick={bring.open}>
          {t("library.import")}
        </Button>
      </PageHead>
      {bringing && (
        <ImportModal what="voices" begin={(upload_id, consent, passphrase) => must(api().POST("/api/v1/voices:import", { body: { upload_id, consent, passphrase } }))} onClose={bring.close} />
      )}
      <Loaded query={voices}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="voices" title={t("voices.emptyTitle")} text={t("voices.emptyText")} />
          ) : (
            <Stack gap="sm">
              <CompareVoices voices={rows} />
              {rows.map((voice) => (
                <VoiceRow key={voice.id} voice={voice} />
              ))}
            </Stack>
          )
        }
      </Loaded>
    </>
  );
}
