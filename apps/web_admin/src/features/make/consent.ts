import type { ConsentCreate } from "../../api/types";

export const SCOPES = ["train", "live", "export", "market"] as const;
export type Scope = (typeof SCOPES)[number];

export interface ConsentForm {
  readonly person: string;
  /** What the avatar is for, in the person's words. */
  readonly purpose: string;
  readonly scope: readonly Scope[];
  /** The last day it holds, as YYYY-MM-DD; empty for no end. */
  readonly until: string;
  readonly agreed: boolean;
}

export const EMPTY_CONSENT: ConsentForm = { person: "", purpose: "", scope: ["train", "live"], until: "", agreed: false };

const KEY = "studio.consent";
export const STATEMENT_VERSION = "2";

/** The end of a day on this machine's clock; null for no day, undefined for one that is none or is over. */
export function endOf(day: string, now = Date.now()): string | null | undefined {
  if (day === "") return null;
  const end = new Date(`${day}T23:59:59`);
  return Number.isNaN(end.getTime()) || end.getTime() < now ? undefined : end.toISOString();
}

/** Whether the form says all that the studio needs; without training nothing can be made of a take. */
export function isConsentComplete(form: ConsentForm): boolean {
  const named = form.person.trim() !== "" && form.purpose.trim() !== "";
  return named && form.scope.includes("train") && endOf(form.until) !== undefined && form.agreed;
}

export function toConsent(form: ConsentForm, statement: string): ConsentCreate {
  return {
    person: form.person.trim(),
    purpose: form.purpose.trim(),
    scope: [...form.scope],
    until: endOf(form.until) ?? null,
    statement,
    statement_version: STATEMENT_VERSION,
    agreed: true,
  };
}

/** The form as it was left in this tab; never the agreement itself, which is given anew each time. */
export function keptConsent(): ConsentForm {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "");
    if (typeof kept !== "object" || kept === null || !("person" in kept) || !("scope" in kept)) return EMPTY_CONSENT;
    const { person, scope } = kept;
    if (typeof person !== "string" || !Array.isArray(scope)) return EMPTY_CONSENT;
    const text = (name: string) => (name in kept ? String((kept as Record<string, unknown>)[name]) : "");
    return { person, purpose: text("purpose"), scope: SCOPES.filter((name) => scope.includes(name)), until: text("until"), agreed: false };
  } catch {
    return EMPTY_CONSENT;
  }
}

export function keepConsent({ person, purpose, scope, until }: ConsentForm): void {
  sessionStorage.setItem(KEY, JSON.stringify({ person, purpose, scope, until }));
}
