import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Avatar, Job, Take } from "../../api/types";
import { AvatarTag } from "../../components/AvatarTag";
import { ErrorNote } from "../../components/ErrorNote";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { Note } from "../../components/Note";
import { Metrics } from "./Metrics";
import { TryOut } from "./TryOut";

function idIn(job: Job, key: "avatar_id" | "model_id"): string {
  const value = job.result?.[key];
  return typeof value === "string" ? value : "";
}

function Review({ modelId }: { modelId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const approve = useMutation({
    mutationFn: () => must(api().POST("/api/v1/models/{model_id}:approve", { params: { path: { model_id: modelId } }, body: { note: "" } })),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <Note tone="warning" title={t("result.review")}>
      <Text size="sm" mt={4} mb="sm">
        {t("result.reviewText")}
      </Text>
      <Button size="xs" loading={approve.isPending} onClick={() => approve.mutate()}>
        {t("models.approve")}
      </Button>
      {approve.isError && <ErrorNote error={approve.error} />}
    </Note>
  );
}

interface ResultProps {
  readonly take: Take;
  readonly avatar: Avatar;
  readonly modelId: string;
  readonly onAgain: () => void;
}

function Result({ take, avatar, modelId, onAgain }: ResultProps) {
  const { t } = useTranslation();
  return (
    <Stack gap="lg">
      <Stack className="panel" gap="md">
        <Group justify="space-between">
          <Group gap="sm">
            <Title order={2} size="h4">
              {avatar.name}
            </Title>
            <AvatarTag state={avatar.state} />
          </Group>
          <Group>
            <Button variant="default" onClick={onAgain}>
              {t("result.again")}
            </Button>
            {avatar.state === "ready" && <LinkButton to={`/live?avatar=${avatar.id}`}>{t("result.live")}</LinkButton>}
          </Group>
        </Group>
        {avatar.state === "in_review" && modelId !== "" && <Review modelId={modelId} />}
        <Text size="sm" c="dimmed">
          {t("result.figures")}
        </Text>
        <Metrics metrics={avatar.metrics} />
      </Stack>
      {avatar.state === "ready" && (
        <TryOut avatarId={avatar.id}>
          <Title order={2} size="h5">
            {t("result.real")}
          </Title>
          {take.video_url != null && (
            <video className="picture" src={address(take.video_url)} controls playsInline preload="metadata" aria-label={t("result.real")} />
          )}
        </TryOut>
      )}
    </Stack>
  );
}

/** The avatar as it came out, beside the person, with its figures; and the way to the broadcast. */
export function ResultStep({ take, training, onAgain }: { take: Take; training: Job; onAgain: () => void }) {
  const avatar = useQuery(queries.avatar(idIn(training, "avatar_id")));
  return (
    <Loaded query={avatar}>
      {(found) => <Result take={take} avatar={found} modelId={idIn(training, "model_id")} onAgain={onAgain} />}
    </Loaded>
  );
}
