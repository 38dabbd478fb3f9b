export interface ReadyLine {
  readonly port: number;
  readonly pid: number;
  readonly url: string;
}

/** Reads the control API's first line, `{"event":"ready","port":…,"pid":…,"url":…}`; null for anything else. */
export function parseReadyLine(line: string): ReadyLine | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { event, port, pid } = value as Record<string, unknown>;
  if (event !== "ready" || !isPort(port) || typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0) return null;
  // The address is built here, not taken: a child that printed another host must not receive the token.
  return { port, pid, url: `http://127.0.0.1:${port}` };
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65_536;
}
