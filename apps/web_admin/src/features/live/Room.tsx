import { SegmentedControl, Stack } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorNote } from "../../components/ErrorNote";
import type { LiveConnection } from "./live_connection";
import { Messages } from "./Messages";
import { Playlists } from "./Playlists";
import { Scripts } from "./Scripts";
import { spoken } from "./spoken";

const PARTS = ["scripts", "playlists", "messages"] as const;
type Part = (typeof PARTS)[number];

/** What is prepared for a broadcast and what comes in during it. */
export function Room({ connection, sessionId }: { connection: LiveConnection; sessionId: string }) {
  const { t } = useTranslation();
  const [part, setPart] = useState<Part>("scripts");
  const say = useMutation({
    mutationFn: async (text: string) => spoken.add(sessionId, await connection.say(text, "say", false), text),
  });
  return (
    <Stack gap="md">
      <SegmentedControl value={part} aria-label={t("floor.tabs.room")} onChange={(value) => setPart(PARTS.find((name) => name === value) ?? "scripts")} data={PARTS.map((name) => ({ value: name, label: t(`floor.room.${name}`) }))} />
      {say.isError && <ErrorNote error={say.error} />}
      {part === "scripts" && <Scripts onSay={(text) => say.mutate(text)} />}
      {part === "playlists" && <Playlists sessionId={sessionId} />}
      {part === "messages" && <Messages sessionId={sessionId} />}
    </Stack>
  );
}
