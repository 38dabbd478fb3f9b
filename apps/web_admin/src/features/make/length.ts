import type { Take } from "../../api/types";

/** How long the take is, as the check measured it. Seconds. */
export function lengthOf(take: Take): number {
  const video = take.report.info?.video;
  const known = typeof video === "object" && video !== null && "duration" in video ? video.duration : null;
  return typeof known === "number" && known > 0 ? known : 10;
}
