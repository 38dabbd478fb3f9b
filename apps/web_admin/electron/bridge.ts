/** What page and shell say to each other: the only words the preload passes on. */
import type { Status } from "./status";

export const CHANNELS = {
  connection: "studio:connection",
  status: "studio:status",
  restart: "studio:restart",
} as const;

export interface Connection {
  readonly url: string;
  readonly token: string;
}

export interface StudioBridge {
  /** Where the control API listens and the token for it; waits until it is ready. */
  connection(): Promise<Connection>;
  onStatus(listener: (status: Status) => void): () => void;
  restart(): Promise<void>;
}
