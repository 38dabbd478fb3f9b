export const PAGES = [
  ["home", "/"],
  ["make", "/make"],
  ["live", "/live"],
  ["avatars", "/avatars"],
  ["voices", "/voices"],
  ["takes", "/takes"],
  ["models", "/models"],
  ["tasks", "/tasks"],
  ["audit", "/audit"],
] as const;
