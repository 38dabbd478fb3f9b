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

/** Splits `#token=…` or `#/page?…&token=…` into the token and the address that stays without it. */
export function splitToken(hash: string): { token: string; rest: string } | null {
  const found = /^#(?:|(\/.*)[?&])token=([A-Za-z0-9_~.-]+)$/.exec(hash);
  return found?.[2] === undefined ? null : { token: found[2], rest: `#${found[1] ?? "/"}` };
}

/** Takes the token out of the address, so that neither the address bar nor the history keeps it. */
function takeToken(): string | null {
  const split = splitToken(window.location.hash);
  if (split !== null) window.history.replaceState(null, "", split.rest);
  return split?.token ?? null;
}

/** A link with a token that is opened in this very tab changes the fragment only: the page is not loaded again. */
function onFragment(): void {
  const split = splitToken(window.location.hash);
  if (split === null) return;
  window.location.replace(split.rest);
  signIn(split.token);
}

/** Finds the connection at the start: the shell's, the address's, or the one kept for this tab. */
export async function startConnection(): Promise<void> {
  if (window.studio !== undefined) {
    const { url, token } = await window.studio.connection();
    become({ base: url, token });
    return;
  }
  const token = takeToken() ?? sessionStorage.getItem(KEY);
  window.addEventListener("hashchange", onFragment);
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
