/** What was said in this page's sessions: kept apart from the boxes that show it, so that changing pages loses nothing. */

export type Outcome = "waiting" | "speaking" | "spoken" | "interrupted" | "failed";

export interface Line {
  /** Session and turn: turns are counted anew in each session. */
  readonly id: string;
  readonly sessionId: string;
  readonly turn: number;
  readonly text: string;
  /** What was answered, for a question. */
  readonly asked: boolean;
}

interface Spoken {
  readonly lines: readonly Line[];
  /** By line, apart from the lines: the first frame is often told before the request that asked for it is answered. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** The avatar's answers, by line. */
  readonly answers: Readonly<Record<string, string>>;
}

const KEPT = 60;

export class SpokenLines {
  private current: Spoken = { lines: [], outcomes: {}, answers: {} };
  /** What was heard last in each session and is not answered yet. */
  private readonly heard = new Map<string, string>();
  private readonly listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly state = (): Spoken => this.current;

  add(sessionId: string, turn: number, text: string, asked = false): void {
    const line = { id: `${sessionId}/${turn}`, sessionId, turn, text, asked };
    this.put(line);
  }

  /** A line, in place of what events told of the same turn before. */
  private put(line: Line): void {
    this.become({ ...this.current, lines: [line, ...this.current.lines.filter((known) => known.id !== line.id)].slice(0, KEPT) });
  }

  /** Follows an event of a live session; anything but a turn's, or what was heard, is passed over. */
  hear(sessionId: string, name: string, data: Readonly<Record<string, unknown>>): void {
    const { turn, text } = data;
    if (name === "transcript" && data.final === true && typeof text === "string" && text !== "") this.heard.set(sessionId, text);
    if (typeof turn !== "number") return;
    const id = `${sessionId}/${turn}`;
    if (name === "turn_reply" && typeof text === "string") {
      // A question that was not typed here: it came through the microphone, or from the room.
      if (!this.current.lines.some((line) => line.id === id)) {
        this.put({ id, sessionId, turn, text: this.heard.get(sessionId) ?? "", asked: true });
        this.heard.delete(sessionId);
      }
      this.become({ ...this.current, answers: { ...this.current.answers, [id]: text } });
    }
    const outcome = outcomeOf(name, data);
    if (outcome !== null) this.become({ ...this.current, outcomes: { ...this.current.outcomes, [id]: outcome } });
  }

  private become(next: Spoken): void {
    this.current = next;
    for (const listener of this.listeners) listener();
  }
}

function outcomeOf(name: string, data: Readonly<Record<string, unknown>>): Outcome | null {
  if (name === "turn_first_frame") return "speaking";
  if (name !== "turn_ended") return null;
  const { outcome } = data;
  return outcome === "spoken" || outcome === "interrupted" ? outcome : "failed";
}

export const spoken = new SpokenLines();
