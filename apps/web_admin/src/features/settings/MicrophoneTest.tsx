import { Button, Progress, Stack } from "@mantine/core";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/errors";
import { ErrorNote } from "../../components/ErrorNote";
import { microphoneConstraints } from "./devices";

/** Loudness of a stream, 0 to 1 on a scale of decibels, until it is told to end. */
export function followLevel(stream: MediaStream, tell: (level: number) => void): () => void {
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 1024;
  audio.createMediaStreamSource(stream).connect(analyser);
  const block = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(block);
    const power = block.reduce((sum, value) => sum + value * value, 0) / block.length;
    tell(Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-12) / 6)));
  }, 80);
  return () => {
    clearInterval(timer);
    void audio.close();
  };
}

/** Shows that the chosen microphone hears something. */
export function MicrophoneTest({ onAllowed }: { onAllowed: () => void }) {
  const { t } = useTranslation();
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [level, setLevel] = useState(0);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    if (stream === null) return;
    const end = followLevel(stream, setLevel);
    return () => {
      end();
      for (const track of stream.getTracks()) track.stop();
    };
  }, [stream]);
  const start = async () => {
    setError(null);
    try {
      setStream(await navigator.mediaDevices.getUserMedia(microphoneConstraints()));
      onAllowed();
    } catch {
      setError(new ApiError(0, "microphone", ""));
    }
  };
  return (
    <Stack gap="xs" maw={420}>
      {stream !== null && <Progress value={level * 100} aria-label={t("settings.devices.level")} transitionDuration={80} />}
      <Button variant="default" w="fit-content" onClick={() => (stream === null ? void start() : setStream(null))}>
        {stream === null ? t("settings.devices.test") : t("settings.devices.stop")}
      </Button>
      {error !== null && <ErrorNote error={error} />}
    </Stack>
  );
}
