/** The stream of events: a WebSocket opened with a one-time ticket, opened anew whenever it falls. */
import type { QueryClient } from "@tanstack/react-query";
import { api, must } from "./client";
import { TRAINING } from "./queries";
import { getConnection } from "./connection";
import { ApiError } from "./errors";
import { applyToLists } from "./lists";
import type { Job, JobLogLine, StudioEvent } from "./types";

export type StreamState = "connecting" | "open" | "lost";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

export class EventStream {
  private socket: WebSocket | null = null;
  private retry: number | undefined;
  private wait = FIRST_WAIT_MS;
  private stopped = false;
  private readonly listeners = new Set<(event: StudioEvent) => void>();

  constructor(private readonly onState: (state: StreamState) => void) {}

  listen(listener: (event: StudioEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    this.stopped = false;
    void this.open();
  }

  stop(): void {
    this.stopped = true;
    window.clearTimeout(this.retry);
    this.socket?.close();
    this.socket = null;
  }

  private async open(): Promise<void> {
    const connection = getConnection();
    if (connection === null || this.stopped) return;
    try {
      const { ticket } = await must(api().POST("/api/v1/events/ticket"));
      if (this.stopped) return;
      const url = new URL("/api/v1/events", connection.base.replace(/^http/, "ws"));
      url.searchParams.set("ticket", ticket);
      this.follow(new WebSocket(url));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
      this.later();
    }
  }

  private follow(socket: WebSocket): void {
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT_MS;
      this.onState("open");
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as StudioEvent;
      for (const listener of this.listeners) listener(event);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.later();
    };
  }

  private later(): void {
    if (this.stopped) return;
    this.onState("lost");
    this.retry = window.setTimeout(() => void this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
  }
}

const LEVELS = ["debug", "info", "warning", "error"] as const satisfies readonly JobLogLine["level"][];

function levelOf(level: string): JobLogLine["level"] {
  return LEVELS.find((name) => name === level) ?? "info";
}

const KEYS_BY_PREFIX: readonly (readonly [string, string])[] = [
  ["take", "takes"],
  ["consent", "takes"],
  ["avatar", "avatars"],
  ["voice", "voices"],
  ["model", "models"],
  ["recording", "recordings"],
  ["settings", "settings"],
];

/** Keeps what the page has read in step with what happens. */
export function applyEvent(client: QueryClient, event: StudioEvent): void {
  if (event.type === "job") {
    applyJob(client, event.job);
  } else if (event.type === "job_log") {
    const { at, level, line, seq } = event;
    // Events carry no id of a line; the stream's number, made negative, cannot meet one.
    client.setQueryData<JobLogLine[]>(["logs", event.job_id], (known) =>
      known === undefined ? undefined : [...known, { id: -seq, at, level: levelOf(level), line }],
    );
  } else if (event.type === "live") {
    if (event.name === "session_state") void client.invalidateQueries({ queryKey: ["sessions"] });
  } else {
    const found = KEYS_BY_PREFIX.find(([prefix]) => event.name.startsWith(prefix));
    if (found !== undefined) void client.invalidateQueries({ queryKey: [found[1]] });
  }
}

function applyJob(client: QueryClient, job: Job): void {
  const before = client.getQueryData<Job>(["jobs", job.id]);
  client.setQueryData<Job>(["jobs", job.id], job);
  for (const key of job.kind === TRAINING ? ["jobs", "trainings"] : ["jobs"]) {
    client.setQueryData<Job[]>([key], (known) => {
      if (known === undefined) return undefined;
      return known.some((row) => row.id === job.id) ? known.map((row) => (row.id === job.id ? job : row)) : [job, ...known];
    });
  }
  applyToLists(client, job);
  if (before?.state === job.state) return;
  // A job that begins or ends changes the thing it works on.
  for (const key of ["takes", "avatars", "voices", "models"]) void client.invalidateQueries({ queryKey: [key] });
}
