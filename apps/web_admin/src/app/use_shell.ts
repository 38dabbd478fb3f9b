import { useQuery } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "../api/queries";
import type { Job } from "../api/types";
import { live } from "../features/live/live_connection";
import { useKindName } from "../i18n/stage";
import { useEvents } from "./EventsProvider";

const ENDED = ["succeeded", "failed", "cancelled"] as const;
/** A job that ends while its page is looked at needs no notice. */
const SHORT_S = 5;

/** Whether the end of a job is worth a notice: it ran for a while, and nobody is looking. */
export function isWorthTelling(job: Job, hidden: boolean): boolean {
  if (!ENDED.some((state) => state === job.state) || job.started_at === null || job.finished_at === null) return false;
  return hidden && (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 >= SHORT_S;
}

/** Tells the desktop shell what goes on, for its tray and a safe end, and has it say when a job has ended. */
export function useShell(): void {
  const { t, i18n } = useTranslation();
  const kindName = useKindName();
  const shell = window.studio;
  const jobs = useQuery({ ...queries.jobs(), enabled: shell !== undefined });
  const settings = useQuery({ ...queries.settings(), enabled: shell !== undefined });
  const here = useSyncExternalStore(live.subscribe, live.state);
  const isLive = here.name === "live";
  const training = jobs.data?.some((job) => job.kind.endsWith(":train") && job.state === "running") ?? false;
  const language = i18n.language === "en" ? "en" : "zh-CN";
  const channel = settings.data?.update_channel;
  useEffect(() => {
    void shell?.tellState({ live: isLive, training, language });
  }, [shell, isLive, training, language]);
  useEffect(() => {
    if (channel !== undefined) void shell?.checkUpdate(channel);
  }, [shell, channel]);
  useEvents((event) => {
    if (event.type !== "job" || shell === undefined || !isWorthTelling(event.job, !document.hasFocus())) return;
    const state = ENDED.find((name) => name === event.job.state);
    if (state !== undefined) void shell.notify({ title: kindName(event.job.kind), body: t(`start.ended.${state}`) });
  });
}
