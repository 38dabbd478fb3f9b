/** Which playlist each live session says. The studio plays it, so it goes on when this page is shut; events tell where it is. */

export interface Programme {
  /** Null where somebody else began it: the studio tells its scripts, not its playlist. */
  readonly playlistId: string | null;
  /** The script being said; null until the first one begins. */
  readonly scriptId: string | null;
}

type Programmes = Readonly<Record<string, Programme>>;

export class ProgrammeBook {
  private current: Programmes = {};
  private readonly listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly state = (): Programmes => this.current;

  began(sessionId: string, playlistId: string): void {
    this.become({ ...this.current, [sessionId]: { playlistId, scriptId: null } });
  }

  ended(sessionId: string): void {
    this.become(Object.fromEntries(Object.entries(this.current).filter(([id]) => id !== sessionId)));
  }

  /** Follows an event of a live session; anything but a programme's, or the session's end, is passed over. */
  hear(sessionId: string, name: string, data: Readonly<Record<string, unknown>>): void {
    if (name === "session_state" && (data.state === "closed" || data.state === "failed")) this.ended(sessionId);
    if (name !== "programme" || typeof data.script_id !== "string") return;
    if (data.script_id === "") this.ended(sessionId);
    else this.become({ ...this.current, [sessionId]: { playlistId: this.current[sessionId]?.playlistId ?? null, scriptId: data.script_id } });
  }

  private become(next: Programmes): void {
    this.current = next;
    for (const listener of this.listeners) listener();
  }
}

export const programmes = new ProgrammeBook();
