/** Where the control API is and the token for it. The one place that keeps the token. */

export interface Connection {
  /** Origin of the control API, without a slash at the end. */
  readonly base: string;
  readonly token: string;
}

const KEY = "studio.token";
const listeners = new Set<() => void>();
let current: Connection | null = null;

function become(connection: Connection | null): void {
  current = connection;
  for (const listener of listeners) listener();
}

export function getConnection(): Connection | null {
  return current;
}

export function onConnection(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Takes the token out of `#token=…` or `#/page?…&token=…`, so that neither the address bar nor the history keeps it. */
export function takeTokenFromAddress(location: Location, history: History): string | null {
  const found = /^#(.*?)[?&]?token=([A-Za-z0-9_~.-]+)$/.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", `${location.pathname}${location.search}#${found[1] || "/"}`);
  return found[2] ?? null;
}

/** Finds the connection at the start: the shell's, the address's, or the one kept for this tab. */
export async function startConnection(): Promise<void> {
  if (window.studio !== undefined) {
    const { url, token } = await window.studio.connection();
    become({ base: url, token });
    return;
  }
  const token = takeTokenFromAddress(window.location, window.history) ?? sessionStorage.getItem(KEY);
  if (token !== null) signIn(token);
}

export function signIn(token: string): void {
  sessionStorage.setItem(KEY, token);
  become({ base: window.location.origin, token });
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  become(null);
}

/** The full address of a path the API gave us. */
export function address(path: string): string {
  return new URL(path, current?.base ?? window.location.origin).toString();
}
