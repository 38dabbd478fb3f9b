import { address } from "../../api/connection";
import type { Take } from "../../api/types";

export type Layer = "keyed" | "original" | "alpha" | "face" | "hair" | "shoulders";

/** The address of a take's picture at a moment, cut out or as a layer. */
export function pictureOf(take: Take, seconds: number, layer: Layer, width: number): string {
  const url = new URL(address(take.preview_url ?? ""));
  url.searchParams.set("t", seconds.toFixed(2));
  url.searchParams.set("layer", layer);
  url.searchParams.set("width", String(width));
  return url.toString();
}
