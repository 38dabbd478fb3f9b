import { Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import type { SessionStats, TurnStats } from "../../api/types";
import { useFormat } from "../../i18n/format";
import { ClientMeter, type ClientStats } from "./client_stats";
import type { LiveConnection } from "./live_connection";

const Chart = lazy(async () => ({ default: (await import("../../components/Chart")).Chart }));
const KEPT_SECONDS = 90;

interface Point {
  readonly x: number;
  readonly fps: number;
}

function useClientStats(connection: LiveConnection): { now: ClientStats | null; points: readonly Point[] } {
  const [now, setNow] = useState<ClientStats | null>(null);
  const [points, setPoints] = useState<readonly Point[]>([]);
  useEffect(() => {
    const meter = new ClientMeter();
    let x = 0;
    const timer = setInterval(() => {
      const peer = connection.connection;
      if (peer === null) return;
      void meter.read(peer, performance.now()).then((stats) => {
        if (stats === null) return;
        x += 1;
        const point = { x, fps: stats.fps };
        setNow(stats);
        setPoints((known) => [...known, point].slice(-KEPT_SECONDS));
      });
    }, 1000);
    return () => clearInterval(timer);
  }, [connection]);
  return { now, points };
}

const STAGES = ["reply", "speak", "animate", "paint", "playout", "encode"] as const;

function TurnTimes({ turn }: { turn: TurnStats }) {
  const { t } = useTranslation();
  const passed = STAGES.filter((stage) => turn[stage] !== null);
  return (
    <dl className="figures" aria-label={t("stats.turn")}>
      {passed.map((stage) => (
        <div key={stage}>
          <dt>{t(`stats.stage.${stage}`)}</dt>
          <dd>{Math.round(turn[stage] ?? 0)} ms</dd>
        </div>
      ))}
    </dl>
  );
}

function ServerFigures({ stats }: { stats: SessionStats }) {
  const { t } = useTranslation();
  const format = useFormat();
  const figures: [string, string][] = [
    [t("stats.size"), `${stats.width}×${stats.height}`],
    [t("stats.paint"), `${format.number(stats.paint_ms, 1)} ms`],
    [t("stats.encode"), `${format.number(stats.encode_ms, 1)} ms`],
    [t("stats.late"), `${format.number(stats.late_ms, 1)} ms`],
    [t("stats.held"), `${stats.held} / ${stats.frames}`],
    [t("stats.dropped"), String(stats.dropped_pictures)],
    [t("stats.uptime"), format.duration(stats.uptime_s)],
    [t("stats.engine"), stats.engine],
  ];
  return (
    <dl className="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** How the session runs: at this page, in the studio, and stage by stage for the last words spoken. */
export function StatsPanel({ connection, sessionId }: { connection: LiveConnection; sessionId: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { now, points } = useClientStats(connection);
  const stats = useQuery({
    queryKey: ["live-stats", sessionId],
    queryFn: () => must(api().GET("/api/v1/live/sessions/{session_id}/stats", { params: { path: { session_id: sessionId } } })),
    refetchInterval: 1000,
    retry: false,
  });
  const last = stats.data?.turns.filter((turn) => turn.speak !== null).at(-1);
  return (
    <Stack className="panel" gap="md">
      <Title order={2} size="h5">
        {t("stats.title")}
      </Title>
      <dl className="figures">
        <div>
          <dt>{t("stats.fps")}</dt>
          <dd data-figure="fps">{now === null ? "–" : format.number(now.fps, 1)}</dd>
        </div>
        <div>
          <dt>{t("stats.bitrate")}</dt>
          <dd>{now === null ? "–" : `${format.number(now.kbps / 1000, 2)} Mb/s`}</dd>
        </div>
        <div>
          <dt>{t("stats.jitter")}</dt>
          <dd>{now === null ? "–" : `${format.number(now.jitterMs, 1)} ms`}</dd>
        </div>
        <div>
          <dt>{t("stats.lost")}</dt>
          <dd>{now === null ? "–" : now.lost}</dd>
        </div>
      </dl>
      <Suspense fallback={null}>
        <Chart label={t("stats.fpsChart")} xs={points.map((point) => point.x)} ys={points.map((point) => point.fps)} atLeast={30} />
      </Suspense>
      {stats.data !== undefined && <ServerFigures stats={stats.data} />}
      {last !== undefined && (
        <>
          <Text fw={600} size="sm">
            {t("stats.turn")}
          </Text>
          <TurnTimes turn={last} />
        </>
      )}
    </Stack>
  );
}
