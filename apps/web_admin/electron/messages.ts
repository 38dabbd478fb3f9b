/** Reads what the page sends: every argument is checked before it is used. */
import type { Notice, PageState, UpdateChannel } from "./bridge";

const MOST_TEXT = 300;

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new Error("Refused: not an object.");
  return value as Record<string, unknown>;
}

export function readPageState(value: unknown): PageState {
  const { live, training, language } = record(value);
  if (typeof live !== "boolean" || typeof training !== "boolean" || (language !== "zh-CN" && language !== "en")) throw new Error("Refused: not a state.");
  return { live, training, language };
}

export function readNotice(value: unknown): Notice {
  const { title, body } = record(value);
  if (typeof title !== "string" || typeof body !== "string") throw new Error("Refused: not a notice.");
  return { title: title.slice(0, MOST_TEXT), body: body.slice(0, MOST_TEXT) };
}

export function readChannel(value: unknown): UpdateChannel {
  if (value !== "stable" && value !== "beta" && value !== "off") throw new Error("Refused: not a channel.");
  return value;
}
