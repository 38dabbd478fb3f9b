import { Button, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { address, getConnection } from "../../api/connection";
import { offline, toApiError } from "../../api/errors";
import { queries } from "../../api/queries";
import type { Voice } from "../../api/types";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Tag } from "../../components/Tag";
import { voiceName } from "./voice_name";

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

function VoiceRow({ voice }: { voice: Voice }) {
  const { t } = useTranslation();
  const chinese = voice.language.startsWith("zh");
  const [text, setText] = useState<string>(chinese ? "大家好，欢迎来到直播间。" : "Hello everyone, welcome to the show.");
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
  return (
    <>
      <PageHead title={t("voices.title")} lead={t("voices.lead")} />
      <Loaded query={voices}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="voices" title={t("voices.emptyTitle")} text={t("voices.emptyText")} />
          ) : (
            <Stack gap="sm">
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
