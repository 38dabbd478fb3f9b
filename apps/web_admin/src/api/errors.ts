import type { Finding } from "./types";

/** An answer of the control API that is not what was asked for. `offline` is ours: no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly remedy = "",
    readonly detail: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  /** The reasons of a refusal, each with a remedy in both languages. */
  get reasons(): Finding[] {
    const { reasons } = this.detail;
    return Array.isArray(reasons) ? reasons.filter(isFinding) : [];
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isFinding(value: unknown): value is Finding {
  return isRecord(value) && typeof value.code === "string" && isRecord(value.message) && "zh-CN" in value.message && isRecord(value.remedy);
}

/** Reads `{code, message, remedy, detail}`; anything else becomes an `internal` error. */
export function toApiError(status: number, body: unknown): ApiError {
  if (!isRecord(body) || typeof body.code !== "string") return new ApiError(status, status === 0 ? "offline" : "internal", "");
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return new ApiError(status, body.code, text(body.message), text(body.remedy), isRecord(body.detail) ? body.detail : {});
}

export const offline = () => new ApiError(0, "offline", "");
