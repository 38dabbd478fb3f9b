import { Button, Stack } from "@mantine/core";
import { type ReactNode, useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Icon } from "../../components/Icon";
import { CALM } from "../live/BackgroundChoice";
import { live } from "../live/live_connection";
import { SayBox } from "../live/SayBox";
import { Stage } from "../live/Stage";

/** Lets an avatar talk inside a step of the way; its session ends when the step is left. */
export function TryOut({ avatarId, children }: { avatarId: string; children: ReactNode }) {
  const { t, i18n } = useTranslation();
  const state = useSyncExternalStore(live.subscribe, live.state);
  useEffect(() => () => void live.close(), []);
  const start = async () => {
    await live.close();
    await live.open({ avatar_id: avatarId, transport: "webrtc", background: CALM, mark: { language: i18n.language === "en" ? "en" : "zh" } });
  };
  return (
    <div className="live-grid">
      <Stage state={state}>
        <Button size="md" leftSection={<Icon name="play" size={18} />} onClick={() => void start()}>
          {t("preview.start")}
        </Button>
      </Stage>
      <Stack className="panel" gap="md">
        {children}
        <SayBox connection={live} sessionId={state.name === "live" ? state.session.id : null} canChat={false} />
      </Stack>
    </div>
  );
}
