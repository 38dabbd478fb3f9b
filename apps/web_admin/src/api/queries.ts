/** What the page reads, by the names under which it is kept. Events keep it fresh (see `events.ts`). */
import { queryOptions } from "@tanstack/react-query";
import { api, must } from "./client";
import type { JobLogLine } from "./types";

const LIMIT = 100;
const LOG_LIMIT = 200;
const LOG_PAGES = 25;

/** A job's lines from the first on, page by page; later ones come as events. */
async function allLogs(id: string): Promise<JobLogLine[]> {
  const lines: JobLogLine[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < LOG_PAGES; page += 1) {
    const query: { limit: number; cursor: string | null } = { limit: LOG_LIMIT, cursor };
    const part: { items: JobLogLine[]; next_cursor?: string | null } = await must(
      api().GET("/api/v1/jobs/{job_id}/logs", { params: { path: { job_id: id }, query } }),
    );
    lines.push(...part.items);
    cursor = part.next_cursor ?? null;
    if (cursor === null) break;
  }
  return lines;
}

export const queries = {
  checks: () =>
    queryOptions({ queryKey: ["checks"], queryFn: () => must(api().GET("/api/v1/system/checks")), staleTime: 60_000 }),
  capabilities: () =>
    queryOptions({
      queryKey: ["capabilities"],
      queryFn: () => must(api().GET("/api/v1/system/capabilities")),
      staleTime: 300_000,
    }),
  takes: () =>
    queryOptions({
      queryKey: ["takes"],
      queryFn: async () => (await must(api().GET("/api/v1/takes", { params: { query: { limit: LIMIT } } }))).items,
    }),
  take: (id: string) =>
    queryOptions({
      queryKey: ["takes", id],
      queryFn: () => must(api().GET("/api/v1/takes/{take_id}", { params: { path: { take_id: id } } })),
    }),
  avatars: () =>
    queryOptions({
      queryKey: ["avatars"],
      queryFn: async () => (await must(api().GET("/api/v1/avatars", { params: { query: { limit: LIMIT } } }))).items,
    }),
  avatar: (id: string) =>
    queryOptions({
      queryKey: ["avatars", id],
      queryFn: () => must(api().GET("/api/v1/avatars/{avatar_id}", { params: { path: { avatar_id: id } } })),
    }),
  voices: () =>
    queryOptions({
      queryKey: ["voices"],
      queryFn: async () => (await must(api().GET("/api/v1/voices", { params: { query: { limit: LIMIT } } }))).items,
    }),
  models: () =>
    queryOptions({
      queryKey: ["models"],
      queryFn: async () => (await must(api().GET("/api/v1/models", { params: { query: { limit: LIMIT } } }))).items,
    }),
  jobs: () =>
    queryOptions({
      queryKey: ["jobs"],
      queryFn: async () => (await must(api().GET("/api/v1/jobs", { params: { query: { limit: LIMIT } } }))).items,
    }),
  job: (id: string) =>
    queryOptions({
      queryKey: ["jobs", id],
      queryFn: () => must(api().GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
    }),
  logs: (id: string) =>
    queryOptions({
      queryKey: ["logs", id],
      queryFn: () => allLogs(id),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  sessions: () =>
    queryOptions({
      queryKey: ["sessions"],
      queryFn: async () => (await must(api().GET("/api/v1/live/sessions"))).items,
    }),
  audit: () =>
    queryOptions({
      queryKey: ["audit"],
      queryFn: async () => (await must(api().GET("/api/v1/audit/events", { params: { query: { limit: LIMIT } } }))).items,
    }),
};
