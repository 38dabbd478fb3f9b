/** What the page reads, by the names under which it is kept. Events keep it fresh (see `events.ts`). */
import { queryOptions } from "@tanstack/react-query";
import { api, must } from "./client";
import type { JobLogLine } from "./types";

/** The most a page of a list may hold. */
export const PAGE = 200;
const RECENT = 100;
export const TRAINING = "avatars:train";
const MOST_PAGES = 25;

interface Part<Item> {
  readonly items: Item[];
  readonly next_cursor?: string | null;
}
export interface Paged {
  readonly limit: number;
  readonly cursor: string | null;
}

/** Everything of a list, page by page; for lists of things people made, which stay short enough to be held whole. */
export async function everything<Item>(fetchPart: (page: Paged) => Promise<Part<Item>>): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const part: Part<Item> = await fetchPart({ limit: PAGE, cursor });
    items.push(...part.items);
    cursor = part.next_cursor ?? null;
    if (cursor === null) break;
  }
  return items;
}

const allLogs = (id: string): Promise<JobLogLine[]> =>
  everything((query) => must(api().GET("/api/v1/jobs/{job_id}/logs", { params: { path: { job_id: id }, query } })));

export const queries = {
  checks: () =>
    queryOptions({ queryKey: ["checks"], queryFn: () => must(api().GET("/api/v1/system/checks")), staleTime: 60_000 }),
  capabilities: () =>
    queryOptions({
      queryKey: ["capabilities"],
      queryFn: () => must(api().GET("/api/v1/system/capabilities")),
      staleTime: 300_000,
    }),
  settings: () => queryOptions({ queryKey: ["settings"], queryFn: () => must(api().GET("/api/v1/settings")) }),
  services: () =>
    queryOptions({ queryKey: ["services"], queryFn: async () => (await must(api().GET("/api/v1/settings/services"))).items }),
  recognisers: () =>
    queryOptions({
      queryKey: ["recognisers"],
      queryFn: async () => (await must(api().GET("/api/v1/system/recognisers"))).items,
      staleTime: 300_000,
    }),
  storage: () =>
    queryOptions({ queryKey: ["storage"], queryFn: () => must(api().GET("/api/v1/system/storage")), staleTime: 0 }),
  load: () =>
    queryOptions({ queryKey: ["load"], queryFn: () => must(api().GET("/api/v1/system/load")), refetchInterval: 2000, retry: false }),
  takes: () =>
    queryOptions({
      queryKey: ["takes"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/takes", { params: { query } }))),
    }),
  take: (id: string) =>
    queryOptions({
      queryKey: ["takes", id],
      queryFn: () => must(api().GET("/api/v1/takes/{take_id}", { params: { path: { take_id: id } } })),
    }),
  avatars: () =>
    queryOptions({
      queryKey: ["avatars"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/avatars", { params: { query } }))),
    }),
  avatar: (id: string) =>
    queryOptions({
      queryKey: ["avatars", id],
      queryFn: () => must(api().GET("/api/v1/avatars/{avatar_id}", { params: { path: { avatar_id: id } } })),
    }),
  voices: () =>
    queryOptions({
      queryKey: ["voices"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/voices", { params: { query } }))),
    }),
  models: () =>
    queryOptions({
      queryKey: ["models"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/models", { params: { query } }))),
    }),
  jobs: () =>
    queryOptions({
      queryKey: ["jobs"],
      queryFn: async () => (await must(api().GET("/api/v1/jobs", { params: { query: { limit: RECENT } } }))).items,
    }),
  /** Every training there was: a take's own may be older than the newest jobs. */
  trainings: () =>
    queryOptions({
      queryKey: ["trainings"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/jobs", { params: { query: { ...query, kind: TRAINING } } }))),
    }),
  tokens: () =>
    queryOptions({
      queryKey: ["tokens"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/tokens", { params: { query } }))),
      retry: false,
    }),
  whoAmI: () => queryOptions({ queryKey: ["whoami"], queryFn: () => must(api().GET("/api/v1/whoami")), staleTime: 300_000 }),
  actions: (avatarId: string) =>
    queryOptions({
      queryKey: ["avatars", avatarId, "actions"],
      queryFn: async () => (await must(api().GET("/api/v1/avatars/{avatar_id}/actions", { params: { path: { avatar_id: avatarId } } }))).items,
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
  scripts: () =>
    queryOptions({
      queryKey: ["scripts"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/scripts", { params: { query } }))),
    }),
  playlists: () =>
    queryOptions({
      queryKey: ["playlists"],
      queryFn: () => everything((query) => must(api().GET("/api/v1/playlists", { params: { query } }))),
    }),
  recordings: () =>
    queryOptions({
      queryKey: ["recordings"],
      queryFn: async () => (await must(api().GET("/api/v1/live/recordings", { params: { query: { limit: RECENT } } }))).items,
    }),
  messages: (sessionId: string | null) =>
    queryOptions({
      queryKey: ["messages", sessionId],
      queryFn: async () =>
        (await must(api().GET("/api/v1/messages", { params: { query: { limit: RECENT, session_id: sessionId } } }))).items,
    }),
};
