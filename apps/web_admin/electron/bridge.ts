/** What page and shell say to each other: the only words the preload passes on. */
import type { Status } from "./status";

export const CHANNELS = {
  connection: "studio:connection",
  status: "studio:status",
  restart: "studio:restart",
  setup: "studio:setup",
  state: "studio:state",
  notify: "studio:notify",
  hotkey: "studio:hotkey",
  update: "studio:update",
  checkUpdate: "studio:check-update",
  installUpdate: "studio:install-update",
} as const;

export interface Connection {
  readonly url: string;
  readonly token: string;
}

/** What the page tells the shell, for the tray and for a safe end. */
export interface PageState {
  readonly live: boolean;
  readonly training: boolean;
  readonly language: "zh-CN" | "en";
}

export interface Notice {
  readonly title: string;
  readonly body: string;
}

export type Hotkey = "interrupt" | "talk";
export type UpdateChannel = "stable" | "beta" | "off";

export type UpdateState =
  | { readonly name: "idle" | "checking" | "none" | "off" }
  | { readonly name: "available" | "ready"; readonly version: string }
  | { readonly name: "downloading"; readonly share: number }
  | { readonly name: "failed"; readonly reason: string };

/** A step of the first start, while the Python environment is made. */
export interface SetupStep {
  readonly step: "uv" | "python" | "packages" | "start";
  /** 0 to 1 where it is known. */
  readonly share: number | null;
  readonly line: string;
}

export interface StudioBridge {
  /** Where the control API listens and the token for it; waits until it is ready. */
  connection(): Promise<Connection>;
  onStatus(listener: (status: Status) => void): () => void;
  restart(): Promise<void>;
  onSetup(listener: (step: SetupStep) => void): () => void;
  tellState(state: PageState): Promise<void>;
  notify(notice: Notice): Promise<void>;
  onHotkey(listener: (key: Hotkey) => void): () => void;
  onUpdate(listener: (state: UpdateState) => void): () => void;
  checkUpdate(channel: UpdateChannel): Promise<void>;
  installUpdate(): Promise<void>;
}
