/** Speed and time left of something counted in bytes, over the last few seconds so that it follows changes calmly. */
const WINDOW_MS = 5000;

export interface Pace {
  /** Bytes a second. */
  readonly speed: number;
  readonly secondsLeft: number | null;
}

export class PaceMeter {
  private points: { at: number; bytes: number }[] = [];

  add(bytes: number, total: number, at: number): Pace {
    this.points.push({ at, bytes });
    this.points = this.points.filter((point) => at - point.at <= WINDOW_MS);
    const first = this.points[0];
    const span = first === undefined ? 0 : (at - first.at) / 1000;
    const speed = first === undefined || span <= 0 ? 0 : (bytes - first.bytes) / span;
    return { speed, secondsLeft: speed > 0 ? Math.max(0, (total - bytes) / speed) : null };
  }
}
