import { ScrollArea, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../api/queries";
import { Loaded } from "./Loaded";

/** What a job has said so far; grows by itself. */
export function LogView({ jobId, height = 240 }: { jobId: string; height?: number }) {
  const { t } = useTranslation();
  const logs = useQuery(queries.logs(jobId));
  return (
    <Stack className="panel" gap="xs">
      <Title order={2} size="h6">
        {t("jobs.log")}
      </Title>
      <Loaded query={logs}>
        {(lines) =>
          lines.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t("jobs.noLog")}
            </Text>
          ) : (
            <ScrollArea.Autosize mah={height} type="auto" viewportProps={{ tabIndex: 0, role: "log", "aria-label": t("jobs.log") }}>
              {lines.map((line) => (
                <div key={line.id} className="mono" lang="en">
                  <Text span inherit c="dimmed">
                    {line.at.slice(11, 19)}
                  </Text>{" "}
                  {line.line}
                </div>
              ))}
            </ScrollArea.Autosize>
          )
        }
      </Loaded>
    </Stack>
  );
}
