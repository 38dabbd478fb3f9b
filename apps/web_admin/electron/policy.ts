/** What the shell allows: pure functions, so that every rule is tested without Electron. */
import path from "node:path";

export const SCHEME = "app";
export const ORIGIN = "app://studio";

const EXTERNAL_HOSTS = new Set(["github.com", "obsproject.com"]);

const PERMISSIONS = new Set(["fullscreen", "notifications", "clipboard-sanitized-write", "speaker-selection"]);

function parse(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}

/** Whether an address belongs to our own page. `new URL` gives custom schemes no origin, so the parts are compared. */
export function isOwnPage(url: string): boolean {
  const parsed = parse(url);
  return (
    parsed !== null &&
    parsed.protocol === `${SCHEME}:` &&
    parsed.host === "studio" &&
    parsed.username === "" &&
    parsed.password === ""
  );
}

/** An IPC call is answered only when it comes from the top frame of our own page. */
export function isTrustedSender(frame: { url: string; parent: unknown } | null): boolean {
  return frame !== null && frame.parent === null && isOwnPage(frame.url);
}

export type WindowVerdict = "deny" | "external";

/** A new window never opens inside the shell; a few known sites open in the user's browser. */
export function windowVerdict(url: string): WindowVerdict {
  const parsed = parse(url);
  const known =
    parsed !== null &&
    parsed.protocol === "https:" &&
    parsed.port === "" &&
    parsed.username === "" &&
    EXTERNAL_HOSTS.has(parsed.hostname);
  return known ? "external" : "deny";
}

/** Permissions are denied unless named; of the media devices only the microphone is ever needed. */
export function permissionVerdict(permission: string, url: string, mediaTypes: readonly string[] = []): boolean {
  if (!isOwnPage(url)) return false;
  if (permission === "media") return mediaTypes.length > 0 && mediaTypes.every((type) => type === "audio");
  return PERMISSIONS.has(permission);
}

/** The file an `app://studio/...` address stands for, or null when it would leave the folder of the page. */
export function resolvePageFile(root: string, url: string): string | null {
  if (!isOwnPage(url)) return null;
  let pathname: string;
  try {
    pathname = decodeURIComponent(new URL(url).pathname);
  } catch {
    return null;
  }
  if (pathname.includes("\0") || pathname.includes("\\")) return null;
  const base = path.resolve(root);
  const file = path.resolve(base, `.${pathname === "/" ? "/index.html" : pathname}`);
  return file.startsWith(base + path.sep) ? file : null;
}

/** The page's content security policy. Mantine sets its variables in a style element, hence inline styles, never scripts. */
export function contentSecurityPolicy(): string {
  const api = "http://127.0.0.1:*";
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    `img-src 'self' data: blob: ${api}`,
    `media-src 'self' blob: ${api}`,
    `connect-src 'self' ${api} ws://127.0.0.1:*`,
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
