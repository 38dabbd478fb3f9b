import { Button, Loader, Stack, Text } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorNote } from "../../components/ErrorNote";
import { Note } from "../../components/Note";
import { useBilingual } from "../../i18n/bilingual";
import { chosenDevice } from "../settings/devices";
import type { LiveState } from "./live_connection";

interface StageProps {
  readonly state: LiveState;
  readonly children?: ReactNode;
}

/** Plays through the speaker chosen in the settings; one that was unplugged gives way to the system's own. */
async function playThrough(element: HTMLMediaElement): Promise<void> {
  if (typeof element.setSinkId !== "function") return;
  const wanted = chosenDevice("speaker") ?? "";
  if (element.sinkId === wanted) return;
  await element.setSinkId(wanted).catch(() => element.setSinkId(""));
}

/** The picture and sound of the session. Where the browser forbids sound without a click, it asks for one. */
export function Stage({ state, children }: StageProps) {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  const video = useRef<HTMLVideoElement>(null);
  const [silenced, setSilenced] = useState(false);
  const stream = state.name === "live" ? state.stream : null;
  const player = state.name === "live" && "player" in state ? state.player : null;
  const trouble = "trouble" in state ? state.trouble : null;

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    if (player === null) element.srcObject = stream;
    else player.attach(element);
    if (stream === null && player === null) return;
    element.muted = false;
    void playThrough(element);
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
            {trouble !== null && (
              <Note tone="warning" title={bilingual(trouble.message)}>
                <Text size="sm">{bilingual(trouble.remedy)}</Text>
              </Note>
            )}
            {children}
          </Stack>
        </div>
      )}
      {player !== null && (
        <div className="over-stage" role="note" data-trouble={trouble?.code ?? ""}>
          {trouble === null ? t("live.overWebSocket") : `${t("live.overWebSocketFor", { cause: bilingual(trouble.message) })} ${bilingual(trouble.remedy)}`}
        </div>
      )}
      {silenced && (
        <Button pos="absolute" bottom={16} left={16} onClick={unmute}>
          {t("live.soundOn")}
        </Button>
      )}
    </div>
  );
}
