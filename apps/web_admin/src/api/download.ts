import { address, getConnection } from "./connection";
import { offline, toApiError } from "./errors";

/** Saves an answer that needs the token as a file; `name` where the answer names none. */
export async function download(path: string, name: string): Promise<void> {
  const response = await fetch(address(path), { headers: { Authorization: `Bearer ${getConnection()?.token ?? ""}` } }).catch(() => {
    throw offline();
  });
  if (!response.ok) throw toApiError(response.status, await response.json().catch(() => null));
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? name;
  link.click();
  // The browser has taken the file over once the click was handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
