/** Long lists, read page by page as somebody scrolls. */
import { infiniteQueryOptions, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { api, must } from "./client";
import { PAGE } from "./queries";
import type { AuditEvent, Job } from "./types";

export interface JobFilter {
  readonly state: Job["state"] | null;
  readonly kind: string | null;
}

interface Part<Item> {
  readonly items: Item[];
  readonly next_cursor?: string | null;
}
type Pages<Item> = InfiniteData<Part<Item>, string | null>;

export const jobList = (filter: JobFilter) =>
  infiniteQueryOptions({
    queryKey: ["job-list", filter],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }): Promise<Part<Job>> =>
      must(
        api().GET("/api/v1/jobs", {
          params: { query: { limit: PAGE, cursor: pageParam, kind: filter.kind, state: filter.state === null ? undefined : [filter.state] } },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? null,
  });

export interface AuditFilter {
  readonly action: string | null;
  readonly objectId: string | null;
}

export const auditList = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit-list", filter],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }): Promise<Part<AuditEvent>> =>
      must(
        api().GET("/api/v1/audit/events", {
          params: { query: { limit: PAGE, cursor: pageParam, action: filter.action, object_id: filter.objectId } },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? null,
    staleTime: 0,
  });

function fits(job: Job, filter: JobFilter): boolean {
  return (filter.state === null || job.state === filter.state) && (filter.kind === null || job.kind === filter.kind);
}

/** The pages with a job as it is now: replaced where it stands, put on top where it is new, gone where it no longer fits. */
export function withJob(pages: Pages<Job>, job: Job, filter: JobFilter): Pages<Job> {
  const at = pages.pages.findIndex((page) => page.items.some((row) => row.id === job.id));
  if (at === -1) {
    const [first, ...rest] = pages.pages;
    if (first === undefined || !fits(job, filter)) return pages;
    const newest = first.items[0];
    if (newest !== undefined && newest.created_at > job.created_at) return pages;
    return { ...pages, pages: [{ ...first, items: [job, ...first.items] }, ...rest] };
  }
  const change = (items: Job[]) =>
    fits(job, filter) ? items.map((row) => (row.id === job.id ? job : row)) : items.filter((row) => row.id !== job.id);
  return { ...pages, pages: pages.pages.map((page, index) => (index === at ? { ...page, items: change(page.items) } : page)) };
}

/** Keeps every list of jobs that has been read in step with a job. */
export function applyToLists(client: QueryClient, job: Job): void {
  for (const [key, data] of client.getQueriesData<Pages<Job>>({ queryKey: ["job-list"] })) {
    if (data !== undefined) client.setQueryData<Pages<Job>>(key, withJob(data, job, key[1] as JobFilter));
  }
}
