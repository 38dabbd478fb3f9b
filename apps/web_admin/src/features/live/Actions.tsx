import { Button, Group } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import { ErrorNote } from "../../components/ErrorNote";

/** The avatar's gestures, each played by a click. Nothing where it has none. */
export function Actions({ avatarId, sessionId }: { avatarId: string; sessionId: string }) {
  const { t } = useTranslation();
  const actions = useQuery(queries.actions(avatarId));
  const play = useMutation({
    mutationFn: (name: string) => must(api().POST("/api/v1/live/sessions/{session_id}:action", { params: { path: { session_id: sessionId } }, body: { name } })),
  });
  if (actions.data === undefined || actions.data.length === 0) return null;
  return (
    <>
      <Group gap="xs" role="group" aria-label={t("floor.actions.title")}>
        {actions.data.map((action) => (
          <Button key={action.id} size="xs" variant="default" loading={play.isPending && play.variables === action.name} onClick={() => play.mutate(action.name)}>
            {action.name}
          </Button>
        ))}
      </Group>
      {play.isError && <ErrorNote error={play.error} />}
    </>
  );
}
