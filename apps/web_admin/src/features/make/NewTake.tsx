import { Button, List, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { DropZone } from "../../components/DropZone";
import { ErrorNote } from "../../components/ErrorNote";
import { PageHead } from "../../components/PageHead";
import { useFormat } from "../../i18n/format";
import { type ConsentForm, isConsentComplete, keepConsent, keptConsent, toConsent } from "./consent";
import { ConsentPanel } from "./ConsentPanel";
import { SendingPanel } from "./SendingPanel";
import { useSending } from "./use_sending";

const GUIDE = ["screen", "light", "frame", "pause", "speak", "sound"] as const;

export function NewTake() {
  const { t } = useTranslation();
  const format = useFormat();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [form, setForm] = useState<ConsentForm>(keptConsent);
  const [video, setVideo] = useState<File | null>(null);
  const [voice, setVoice] = useState<File | null>(null);
  const sending = useSending((take) => {
    client.setQueryData(["takes", take.id], take);
    void client.invalidateQueries({ queryKey: ["takes"], exact: true });
    void navigate(`/make/${take.id}`);
  });
  const statement = t("consent.statement", {
    person: form.person.trim() || "…",
    purpose: form.purpose.trim() || "…",
    term: form.until === "" ? t("consent.noEnd") : t("consent.untilDay", { day: form.until }),
  });
  const change = (next: ConsentForm) => {
    keepConsent(next);
    setForm(next);
  };
  const chooseVideo = (file: File) => {
    sending.clear();
    setVideo(file);
  };
  const describe = (file: File) => `${format.bytes(file.size)} · ${t("upload.change")}`;
  return (
    <>
      <PageHead title={t("make.title")} lead={t("make.lead")} />
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg" style={{ alignItems: "start" }}>
        <ConsentPanel form={form} statement={statement} onChange={change} />
        <Stack gap="lg">
          <Stack className="panel" gap="md" component="section">
            <Title order={2} size="h4">
              {t("upload.title")}
            </Title>
            <List size="sm" spacing={4}>
              {GUIDE.map((name) => (
                <List.Item key={name}>{t(`guide.${name}`)}</List.Item>
              ))}
            </List>
            <DropZone
              label={t("upload.video")}
              hint={t("upload.videoHint")}
              accept="video/*,.mkv"
              file={video}
              describe={describe}
              disabled={sending.busy}
              onFile={chooseVideo}
            />
            <DropZone
              label={t("upload.voice")}
              hint={t("upload.voiceHint")}
              accept="audio/*"
              file={voice}
              describe={describe}
              disabled={sending.busy}
              onFile={setVoice}
            />
          </Stack>
          {sending.busy && <SendingPanel sending={sending} />}
          {sending.error !== null && <ErrorNote error={sending.error} />}
          {!sending.busy && (
            <Stack gap={6}>
              <Button
                size="md"
                disabled={video === null || !isConsentComplete(form)}
                onClick={() => video !== null && sending.start({ video, voice }, toConsent(form, statement))}
              >
                {t("upload.start")}
              </Button>
              {!isConsentComplete(form) && (
                <Text size="sm" c="dimmed">
                  {t("upload.needsConsent")}
                </Text>
              )}
            </Stack>
          )}
        </Stack>
      </SimpleGrid>
    </>
  );
}
