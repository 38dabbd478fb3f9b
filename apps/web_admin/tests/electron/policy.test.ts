import path from "node:path";
import { describe, expect, it } from "vitest";
import { contentSecurityPolicy, isOwnPage, isTrustedSender, permissionVerdict, resolvePageFile, windowVerdict } from "../../electron/policy";

describe("own page", () => {
  it.each(["app://studio/", "app://studio/index.html#/live"])("accepts %s", (url) => expect(isOwnPage(url)).toBe(true));
  it.each([
    "app://studio.evil/",
    "app://evil/",
    "app://user@studio/",
    "https://studio/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "not an address",
  ])("refuses %s", (url) => expect(isOwnPage(url)).toBe(false));
});

describe("IPC sender", () => {
  it("accepts the top frame of our page alone", () => {
    expect(isTrustedSender({ url: "app://studio/", parent: null })).toBe(true);
    expect(isTrustedSender({ url: "app://studio/", parent: {} })).toBe(false);
    expect(isTrustedSender({ url: "http://127.0.0.1:9001/", parent: null })).toBe(false);
    expect(isTrustedSender(null)).toBe(false);
  });
});

describe("new windows", () => {
  it.each([
    ["https://github.com/x", "external"],
    ["http://github.com/x", "deny"],
    ["https://github.com:8443/", "deny"],
    ["https://github.com.evil.example/", "deny"],
    ["https://a@github.com/", "deny"],
    ["file:///etc/passwd", "deny"],
    ["app://studio/", "deny"],
    ["", "deny"],
  ])("%s -> %s", (url, verdict) => expect(windowVerdict(url)).toBe(verdict));
});

describe("permissions", () => {
  const own = "app://studio/";
  it("lets our page use the microphone but no camera", () => {
    expect(permissionVerdict("media", own, ["audio"])).toBe(true);
    expect(permissionVerdict("media", own, ["audio", "video"])).toBe(false);
    expect(permissionVerdict("media", own)).toBe(false);
  });
  it.each(["geolocation", "midi", "usb", "hid", "serial", "openExternal", "clipboard-read", "unknown"])("denies %s", (name) =>
    expect(permissionVerdict(name, own)).toBe(false),
  );
  it("denies everything to other pages", () => {
    expect(permissionVerdict("fullscreen", "https://example.com/")).toBe(false);
    expect(permissionVerdict("fullscreen", own)).toBe(true);
  });
});

describe("files of the page", () => {
  const root = path.resolve("/srv/page");
  it("serves files inside", () => {
    expect(resolvePageFile(root, "app://studio/")).toBe(path.join(root, "index.html"));
    expect(resolvePageFile(root, "app://studio/assets/a.js?v=1")).toBe(path.join(root, "assets/a.js"));
  });
  it.each([
    "app://studio/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "app://studio/..%5c..%5cboot.ini",
    "app://studio/a%00.js",
    "app://studio/%E0%A4%A",
    "app://other/index.html",
  ])("refuses %s", (url) => expect(resolvePageFile(root, url)).toBeNull());
  it("does not take a neighbour with the same beginning for the folder", () => {
    expect(resolvePageFile(root, "app://studio/..%2fpage_secret/x")).toBeNull();
  });
});

it("lets no script in but our own", () => {
  const policy = contentSecurityPolicy();
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/script-src 'self'(;|$)/);
  expect(policy).not.toContain("unsafe-eval");
});
