import { Button, Loader, Stack, Text } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorNote } from "../../components/ErrorNote";
import type { LiveState } from "./live_connection";

interface StageProps {
  readonly state: LiveState;
  readonly children?: ReactNode;
}

/** The picture and sound of the session. Where the browser forbids sound without a click, it asks for one. */
export function Stage({ state, children }: StageProps) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [silenced, setSilenced] = useState(false);
  const stream = state.name === "live" ? state.stream : null;
  const player = state.name === "live" && "player" in state ? state.player : null;

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    if (player === null) element.srcObject = stream;
    else player.attach(element);
    if (stream === null && player === null) return;
    element.muted = false;
    element.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      element.muted = true;
      setSilenced(true);
      void element.play();
    });
    return () => player?.detach();
  }, [stream, player]);

  const unmute = () => {
    if (video.current !== null) video.current.muted = false;
    setSilenced(false);
  };

  return (
    <div className="stage" data-live={state.name}>
      <video ref={video} autoPlay playsInline aria-label={t("live.picture")} />
      {state.name === "idle" && <div className="stage-cover">{children}</div>}
      {(state.name === "opening" || state.name === "connecting") && (
        <div className="stage-cover" role="status">
          <Stack align="center">
            <Loader color="white" />
            <Text>{t(`live.${state.name}`)}</Text>
          </Stack>
        </div>
      )}
      {state.name === "failed" && (
        <div className="stage-cover">
          <Stack>
            <ErrorNote error={state.error} />
            {children}
          </Stack>
        </div>
      )}
      {player !== null && (
        <Text role="note" size="sm" pos="absolute" bottom={0} left={0} right={0} px="md" py={6} c="white" bg="rgb(11 12 18 / 78%)">
          {t("live.overWebSocket")}
        </Text>
      )}
      {silenced && (
        <Button pos="absolute" bottom={16} left={16} onClick={unmute}>
          {t("live.soundOn")}
        </Button>
      )}
    </div>
  );
}
