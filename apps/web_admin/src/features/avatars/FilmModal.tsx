import { Button, Group, Modal, Stack, Textarea } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Avatar } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { JobProgress } from "../../components/JobProgress";

function Film({ jobId }: { jobId: string }) {
  const { t } = useTranslation();
  const job = useQuery(queries.job(jobId));
  if (job.data === undefined) return null;
  return (
    <Stack>
      <JobProgress job={job.data} title={t("film.job")} />
      {typeof job.data.file_url === "string" && (
        <>
          <video className="picture" src={address(job.data.file_url)} controls playsInline aria-label={t("film.result")} />
          <Button component="a" href={address(job.data.file_url)} download variant="default">
            {t("film.download")}
          </Button>
        </>
      )}
    </Stack>
  );
}

interface FilmModalProps {
  readonly avatar: Avatar;
  readonly opened: boolean;
  readonly onClose: () => void;
}

/** Makes an MP4 of the avatar speaking a text. */
export function FilmModal({ avatar, opened, onClose }: FilmModalProps) {
  const { t, i18n } = useTranslation();
  const [text, setText] = useState("");
  const make = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/inference/video", {
          body: { avatar_id: avatar.id, text: text.trim(), mark: { language: i18n.language === "en" ? "en" : "zh" } },
        }),
      ),
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t("film.title", { name: avatar.name })} size="lg" centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <Textarea label={t("film.text")} autosize minRows={3} maxRows={10} maxLength={10_000} value={text} onChange={(event) => setText(event.currentTarget.value)} data-autofocus />
        {make.isError && <ErrorNote error={make.error} />}
        {make.data !== undefined && <Film jobId={make.data.id} />}
        <Group justify="flex-end">
          <Button loading={make.isPending} disabled={text.trim() === ""} onClick={() => make.mutate()}>
            {t("film.make")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
