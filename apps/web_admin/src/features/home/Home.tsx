import { Group, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { Job } from "../../api/types";
import { JobTag } from "../../components/JobProgress";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { useFormat } from "../../i18n/format";
import { useKindName } from "../../i18n/stage";
import { Checks } from "./Checks";

const SHOWN = 5;

function LastJobs({ jobs }: { jobs: readonly Job[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const kindName = useKindName();
  if (jobs.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t("home.noJobs")}
      </Text>
    );
  }
  return (
    <Stack gap="sm" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
      {jobs.slice(0, SHOWN).map((job) => (
        <Group key={job.id} component="li" justify="space-between" wrap="nowrap">
          <div>
            <Text size="sm" fw={600}>
              {kindName(job.kind)}
            </Text>
            <Text size="sm" c="dimmed">
              {format.when(job.created_at)}
              {job.state === "running" && ` · ${format.percent(job.progress)}`}
            </Text>
          </div>
          <JobTag state={job.state} />
        </Group>
      ))}
    </Stack>
  );
}

/** What runs now, what was done last, whether the machine is fit; and the one button that starts it all. */
export function Home() {
  const { t } = useTranslation();
  const jobs = useQuery(queries.jobs());
  const avatars = useQuery(queries.avatars());
  const sessions = useQuery(queries.sessions());
  const ready = avatars.data?.filter((avatar) => avatar.state === "ready") ?? [];
  const running = sessions.data?.length ?? 0;
  useEffect(() => {
    document.title = "LiveTalking Studio";
  }, []);
  return (
    <Stack gap="lg">
      <section className="hero">
        <Title order={1} size="h2" c="white">
          {t("home.title")}
        </Title>
        <Text mt={8} mb="lg" maw={620}>
          {t("home.lead")}
        </Text>
        <Group>
          <LinkButton to="/make" size="md" variant="white" c="#26247d">
            {t("home.make")}
          </LinkButton>
          {ready.length > 0 && (
            <LinkButton to="/live" size="md" variant="outline" c="white" style={{ borderColor: "#ffffff" }}>
              {t("home.golive")}
            </LinkButton>
          )}
        </Group>
      </section>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Stack gap="lg">
          <Stack className="panel" component="section" gap="md">
            <Title order={2} size="h5">
              {t("home.now")}
            </Title>
            <Group justify="space-between">
              <Text size="sm">{running === 0 ? t("home.noLive") : t("home.liveCount", { count: running })}</Text>
              {running > 0 && (
                <LinkButton to="/live" size="xs" variant="default">
                  {t("home.show")}
                </LinkButton>
              )}
            </Group>
          </Stack>
          <Stack className="panel" component="section" gap="md">
            <Group justify="space-between">
              <Title order={2} size="h5">
                {t("home.jobs")}
              </Title>
              <LinkButton to="/tasks" size="xs" variant="default">
                {t("home.allJobs")}
              </LinkButton>
            </Group>
            <Loaded query={jobs}>{(rows) => <LastJobs jobs={rows} />}</Loaded>
          </Stack>
        </Stack>
        <Checks />
      </SimpleGrid>
    </Stack>
  );
}
