/** Plays a playlist in a session: speaks the next script when the one before has been spoken. */
import type { Playlist, Script } from "../../api/types";

export interface PlayerState {
  readonly playlistId: string;
  readonly title: string;
}

type Say = (text: string) => Promise<number>;

/** The script after `at`: the next in order, or one by weight; null when a list that is played once has ended. */
export function nextScript(playlist: Playlist, at: number, random: () => number): number | null {
  const count = playlist.items.length;
  if (count === 0) return null;
  if (playlist.mode === "random") {
    const total = playlist.items.reduce((sum, item) => sum + (item.weight ?? 1), 0);
    let left = random() * total;
    const found = playlist.items.findIndex((item) => (left -= item.weight ?? 1) < 0);
    return found === -1 ? count - 1 : found;
  }
  const next = at + 1;
  if (next < count) return next;
  return playlist.mode === "loop" ? 0 : null;
}

export class PlaylistPlayer {
  private current: PlayerState | null = null;
  private turn: number | null = null;
  private at = -1;
  private round = 0;
  private playlist: Playlist | null = null;
  private scripts: readonly Script[] = [];
  private say: Say | null = null;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly random: () => number = Math.random) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly state = (): PlayerState | null => this.current;

  start(playlist: Playlist, scripts: readonly Script[], say: Say): void {
    this.round += 1;
    this.playlist = playlist;
    this.scripts = scripts;
    this.say = say;
    this.at = -1;
    void this.next(this.round);
  }

  stop(): void {
    this.round += 1;
    this.turn = null;
    this.become(null);
  }

  /** A turn has ended. Only its own turn moves the list on; one that was interrupted ends it. */
  ended(turn: number, outcome: unknown): void {
    if (this.current === null || turn !== this.turn) return;
    if (outcome === "interrupted") this.stop();
    else void this.next(this.round);
  }

  private async next(round: number): Promise<void> {
    if (this.playlist === null || this.say === null) return;
    // Scripts that were deleted meanwhile are passed over, each at most once.
    for (let tries = 0; tries < this.playlist.items.length; tries += 1) {
      const index = nextScript(this.playlist, this.at, this.random);
      if (index === null) break;
      this.at = index;
      const script = this.scripts.find((row) => row.id === this.playlist?.items[index]?.script_id);
      if (script === undefined) continue;
      this.become({ playlistId: this.playlist.id, title: script.title });
      try {
        const turn = await this.say(script.text);
        if (round === this.round) this.turn = turn;
      } catch {
        if (round === this.round) this.stop(); // the session has ended
      }
      return;
    }
    if (round === this.round) this.stop();
  }

  private become(state: PlayerState | null): void {
    this.current = state;
    for (const listener of this.listeners) listener();
  }
}

/** The page's one player: it goes on while other pages are looked at. */
export const player = new PlaylistPlayer();
