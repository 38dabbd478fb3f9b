import { Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Load, SessionStats, TurnStats } from "../../api/types";
import { useFormat } from "../../i18n/format";
import { ClientMeter, type ClientStats } from "./client_stats";
import { type History, useHistory } from "./history";
import type { LiveConnection } from "./live_connection";

const Chart = lazy(async () => ({ default: (await import("../../components/Chart")).Chart }));

function useClientStats(connection: LiveConnection): { now: ClientStats | null; at: number } {
  const [reading, setReading] = useState<{ now: ClientStats | null; at: number }>({ now: null, at: 0 });
  useEffect(() => {
    const meter = new ClientMeter();
    const timer = setInterval(() => {
      const state = connection.state();
      const player = state.name === "live" && "player" in state ? state.player : null;
      const peer = connection.connection;
      const keep = (stats: ClientStats | null) => {
        if (stats !== null) setReading((known) => ({ now: stats, at: known.at + 1 }));
      };
      if (player !== null) keep(meter.readPlayer(player, performance.now()));
      else if (peer !== null) void meter.read(peer, performance.now()).then(keep);
    }, 1000);
    return () => clearInterval(timer);
  }, [connection]);
  return reading;
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

function Figures({ client, stats }: { client: ClientStats | null; stats: SessionStats | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const figures: [string, string, string][] = [
    ["fps", t("stats.fps"), client === null ? "–" : format.number(client.fps, 1)],
    ["bitrate", t("stats.bitrate"), client === null ? "–" : `${format.number(client.kbps / 1000, 2)} Mb/s`],
    client?.behindMs == null
      ? ["jitter", t("stats.jitter"), client?.jitterMs == null ? "–" : `${format.number(client.jitterMs, 1)} ms`]
      : ["behind", t("stats.behind"), `${format.number(client.behindMs, 0)} ms`],
    ["lost", client?.behindMs == null ? t("stats.lost") : t("stats.lostPictures"), client === null ? "–" : String(client.lost)],
  ];
  if (stats !== undefined) {
    figures.push(
      ["size", t("stats.size"), `${stats.width}×${stats.height}`],
      ["late", t("stats.late"), `${format.number(stats.late_ms, 1)} ms`],
      ["held", t("stats.held"), `${stats.held} / ${stats.frames}`],
      ["dropped", t("stats.dropped"), String(stats.dropped_pictures)],
      ["uptime", t("stats.uptime"), format.duration(stats.uptime_s)],
      ["engine", t("stats.engine"), stats.engine],
    );
  }
  return (
    <dl className="figures">
      {figures.map(([id, name, value]) => (
        <div key={id}>
          <dt>{name}</dt>
          <dd data-figure={id}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Course({ title, history, atLeast }: { title: string; history: History; atLeast: number }) {
  const format = useFormat();
  const last = history.ys.at(-1);
  return (
    <figure className="course">
      <figcaption>
        {title} <b>{last == null ? "–" : format.number(last, 1)}</b>
      </figcaption>
      <Suspense fallback={<div style={{ height: 96 }} />}>
        <Chart label={title} xs={history.xs} ys={history.ys} height={96} atLeast={atLeast} />
      </Suspense>
    </figure>
  );
}

function Charts({ client, clientAt, stats, statsAt, load, loadAt }: { client: ClientStats | null; clientAt: number; stats: SessionStats | undefined; statsAt: number; load: Load | undefined; loadAt: number }) {
  const { t } = useTranslation();
  const card = load?.gpus[0];
  const turn = stats?.turns.filter((row) => row.playout !== null).at(-1);
  const fps = useHistory(client?.fps, clientAt);
  const first = useHistory(turn?.playout ?? null, turn === undefined ? 0 : statsAt);
  const paint = useHistory(stats?.paint_ms, statsAt);
  const encode = useHistory(stats?.encode_ms, statsAt);
  const drops = useHistory(stats?.dropped_pictures, statsAt);
  const cpu = useHistory(load === undefined ? undefined : load.cpu * 100, loadAt);
  const memory = useHistory(load === undefined ? undefined : (100 * load.memory_used) / load.memory_total, loadAt);
  const gpu = useHistory(card?.use == null ? undefined : card.use * 100, loadAt);
  return (
    <div className="courses">
      <Course title={t("floor.charts.fps")} history={fps} atLeast={30} />
      <Course title={t("floor.charts.first")} history={first} atLeast={500} />
      <Course title={t("floor.charts.paint")} history={paint} atLeast={40} />
      <Course title={t("floor.charts.encode")} history={encode} atLeast={40} />
      <Course title={t("floor.charts.cpu")} history={cpu} atLeast={100} />
      {card === undefined ? <Course title={t("floor.charts.memory")} history={memory} atLeast={100} /> : <Course title={t("floor.charts.gpu")} history={gpu} atLeast={100} />}
      <Course title={t("floor.charts.drops")} history={drops} atLeast={10} />
    </div>
  );
}

/** How the session runs: at this page, in the studio and on the machine, and stage by stage for the last words spoken. */
export function StatsPanel({ connection, sessionId }: { connection: LiveConnection; sessionId: string }) {
  const { t } = useTranslation();
  const { now, at } = useClientStats(connection);
  const stats = useQuery({
    queryKey: ["live-stats", sessionId],
    queryFn: () => must(api().GET("/api/v1/live/sessions/{session_id}/stats", { params: { path: { session_id: sessionId } } })),
    refetchInterval: 1000,
    retry: false,
  });
  const load = useQuery(queries.load());
  const last = stats.data?.turns.filter((turn) => turn.speak !== null).at(-1);
  return (
    <Stack className="panel" gap="md">
      <Title order={2} size="h5">
        {t("stats.title")}
      </Title>
      <Figures client={now} stats={stats.data} />
      <Charts client={now} clientAt={at} stats={stats.data} statsAt={stats.dataUpdatedAt} load={load.data} loadAt={load.dataUpdatedAt} />
      {load.data !== undefined && (
        <Text size="sm" c="dimmed">
          {load.data.gpus.length === 0 && t("floor.charts.noGpu")}
          {load.data.gpus.map((card) => (
            <span key={card.name}>{t("floor.charts.heat", { name: card.name, celsius: card.celsius ?? "–" })} </span>
          ))}
        </Text>
      )}
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
