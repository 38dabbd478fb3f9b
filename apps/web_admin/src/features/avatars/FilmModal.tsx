import { Button, ColorInput, Group, Modal, SegmentedControl, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Avatar, Job } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { JobProgress } from "../../components/JobProgress";

const BACKGROUNDS = ["original", "colour", "blur", "transparent"] as const;
type Background = (typeof BACKGROUNDS)[number];

function Film({ jobId, transparent }: { jobId: string; transparent: boolean }) {
  const { t } = useTranslation();
  const job = useQuery(queries.job(jobId));
  if (job.data === undefined) return null;
  return (
    <Stack>
      <JobProgress job={job.data} title={t("film.job")} />
      {typeof job.data.file_url === "string" && (
        <>
          <video className={transparent ? "checker picture" : "picture"} src={address(job.data.file_url)} controls playsInline aria-label={t("film.result")} />
          <Button component="a" href={address(job.data.file_url)} download variant="default">
            {t("film.download")}
          </Button>
        </>
      )}
    </Stack>
  );
}

/** What a film's job was asked to put behind the person. */
function made(job: Job): unknown {
  const asked = job.request["background"];
  return typeof asked === "object" && asked !== null && "kind" in asked ? asked.kind : null;
}

interface FilmModalProps {
  readonly avatar: Avatar;
  readonly opened: boolean;
  readonly onClose: () => void;
}

/** Makes a film of the avatar speaking a text: an MP4, or a WebM of the person alone. */
export function FilmModal({ avatar, opened, onClose }: FilmModalProps) {
  const { t, i18n } = useTranslation();
  const [text, setText] = useState("");
  const [kind, setKind] = useState<Background>("original");
  const [colour, setColour] = useState("#202830");
  const make = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/inference/video", {
          body: { avatar_id: avatar.id, text: text.trim(), background: { kind, colour }, mark: { language: i18n.language === "en" ? "en" : "zh" } },
        }),
      ),
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t("film.title", { name: avatar.name })} size="lg" centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <Textarea label={t("film.text")} autosize minRows={3} maxRows={10} maxLength={10_000} value={text} onChange={(event) => setText(event.currentTarget.value)} data-autofocus />
        <div>
          <Text size="sm" fw={500} mb={6} id="film-background">
            {t("film.background")}
          </Text>
          <SegmentedControl
            aria-labelledby="film-background"
            className="wraps"
            value={kind}
            onChange={(value) => setKind(BACKGROUNDS.find((name) => name === value) ?? "original")}
            data={BACKGROUNDS.map((name) => ({ value: name, label: t(`film.behind.${name}`) }))}
          />
          <Text size="sm" c="dimmed" mt={6}>
            {t(`film.behindHint.${kind}`)}
          </Text>
        </div>
        {kind === "colour" && <ColorInput label={t("film.colour")} format="hex" value={colour} onChange={setColour} withEyeDropper={false} />}
        {make.isError && <ErrorNote error={make.error} />}
        {make.data !== undefined && <Film jobId={make.data.id} transparent={made(make.data) === "transparent"} />}
        <Group justify="flex-end">
          <Button loading={make.isPending} disabled={text.trim() === ""} onClick={() => make.mutate()}>
            {t("film.make")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
