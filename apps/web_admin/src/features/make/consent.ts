import type { ConsentCreate } from "../../api/types";

export const SCOPES = ["train", "live", "export", "market"] as const;
export type Scope = (typeof SCOPES)[number];

export interface ConsentForm {
  readonly person: string;
  readonly scope: readonly Scope[];
  readonly agreed: boolean;
}

export const EMPTY_CONSENT: ConsentForm = { person: "", scope: ["train", "live"], agreed: false };

const KEY = "studio.consent";
export const STATEMENT_VERSION = "1";

/** Whether the form says all that the studio needs; without training nothing can be made of a take. */
export function isConsentComplete(form: ConsentForm): boolean {
  return form.person.trim() !== "" && form.scope.includes("train") && form.agreed;
}

export function toConsent(form: ConsentForm, statement: string): ConsentCreate {
  return {
    person: form.person.trim(),
    scope: [...form.scope],
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
    return { person, scope: SCOPES.filter((name) => scope.includes(name)), agreed: false };
  } catch {
    return EMPTY_CONSENT;
  }
}

export function keepConsent({ person, scope }: ConsentForm): void {
  sessionStorage.setItem(KEY, JSON.stringify({ person, scope }));
}
