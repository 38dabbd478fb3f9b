/** The microphone of this page, sent to the live session: opened on request, muted, and always given back. */
import { api, must } from "../../api/client";
import { ApiError } from "../../api/errors";
import { microphoneConstraints } from "../settings/devices";
import type { LiveConnection } from "./live_connection";

export interface Heard {
  readonly utterance: number;
  readonly text: string;
  readonly final: boolean;
}

export type MicrophoneState =
  | { readonly name: "off" | "asking" }
  | { readonly name: "on"; readonly stream: MediaStream; readonly muted: boolean }
  | { readonly name: "failed"; readonly error: ApiError };

export class Microphone {
  private current: MicrophoneState = { name: "off" };
  private sessionId: string | null = null;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly connection: LiveConnection) {
    // The session's end takes the microphone with it.
    connection.subscribe(() => {
      const state = connection.state();
      if (this.current.name === "on" && !(state.name === "live" && state.session.id === this.sessionId)) this.release({ name: "off" });
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly state = (): MicrophoneState => this.current;

  /** Asks for the microphone and opens the session's ears. */
  async start(sessionId: string): Promise<void> {
    if (this.current.name === "on" || this.current.name === "asking") return;
    this.become({ name: "asking" });
    let stream: MediaStream | null = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia(microphoneConstraints()).catch(() => {
        throw new ApiError(0, "microphone", "");
      });
      await this.connection.speakThrough(stream.getAudioTracks()[0] ?? null);
      this.sessionId = sessionId;
      await this.listen(true);
      this.become({ name: "on", stream, muted: false });
    } catch (error) {
      for (const track of stream?.getTracks() ?? []) track.stop();
      this.release({ name: "failed", error: error instanceof ApiError ? error : new ApiError(0, "internal", String(error)) });
    }
  }

  /** Silence for a while; the session's ears are shut too, so that noise on the way is not heard as words. */
  async mute(muted: boolean): Promise<void> {
    const state = this.current;
    if (state.name !== "on" || state.muted === muted) return;
    for (const track of state.stream.getAudioTracks()) track.enabled = !muted;
    this.become({ ...state, muted });
    await this.listen(!muted);
  }

  async stop(): Promise<void> {
    if (this.current.name !== "on") return;
    await this.connection.speakThrough(null).catch(() => undefined); // the connection has gone: nothing is sent any more
    const shut = this.listen(false);
    this.release({ name: "off" });
    await shut;
  }

  private async listen(enabled: boolean): Promise<void> {
    if (this.sessionId === null) return;
    await must(api().POST("/api/v1/live/sessions/{session_id}:listen", { params: { path: { session_id: this.sessionId } }, body: { enabled } }));
  }

  private release(next: MicrophoneState): void {
    if (this.current.name === "on") for (const track of this.current.stream.getTracks()) track.stop();
    this.sessionId = null;
    this.become(next);
  }

  private become(state: MicrophoneState): void {
    this.current = state;
    for (const listener of this.listeners) listener();
  }
}

/** What was heard, with what an event adds: a later guess replaces an earlier one of the same utterance. */
export function withHeard(known: readonly Heard[], data: Readonly<Record<string, unknown>>): readonly Heard[] {
  const { utterance, text, final } = data;
  if (typeof utterance !== "number" || typeof text !== "string") return known;
  return [{ utterance, text, final: final === true }, ...known.filter((row) => row.utterance !== utterance)].slice(0, 20);
}
