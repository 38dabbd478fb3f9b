/** A version's last evaluation, as the registry keeps it, read with care: older versions have less of it or none. */

export interface Judged {
  readonly name: string;
  readonly value: number | null;
  /** The same of the recording itself. */
  readonly real: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly within: boolean;
}

export interface Evaluated {
  readonly at: string;
  readonly passed: boolean;
  readonly rows: readonly Judged[];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const figure = (value: unknown): number | null => (typeof value === "number" ? value : null);

export function evaluationOf(evaluation: Readonly<Record<string, unknown>>): Evaluated | null {
  const { at, passed, figures } = evaluation;
  if (typeof at !== "string" || !isRecord(figures)) return null;
  const rows = Object.entries(figures).flatMap(([name, entry]): Judged[] => {
    if (!isRecord(entry)) return [];
    const [value, real, least, most] = [figure(entry.value), figure(entry.real), figure(entry.least), figure(entry.most)];
    const within = value === null || ((least === null || value >= least) && (most === null || value <= most));
    return [{ name, value, real, least, most, within }];
  });
  return { at, passed: passed === true, rows };
}
