/**
 * The packaging's configuration, checked by electron-builder itself on a stand-in for Electron's binary: it packs the asar,
 * the studio's files and the fuses. It says nothing of an installer's own run: that needs the real binary.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(import.meta.url);
const config = require("../../electron-builder.config.cjs") as { win: { target: string[] }; mac: { target: string[] }; linux: { target: string[] } };
const folder = mkdtempSync(path.join(tmpdir(), "studio-pack-"));
const output = path.join(folder, "release");
const packed = path.join(output, "linux-unpacked");
/** How a binary's fuses are found: this text, a version, their number, and one character for each. */
const SENTINEL = "dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX";
const FUSES = 9;
const [DISABLE, ENABLE] = ["0".charCodeAt(0), "1".charCodeAt(0)];

beforeAll(() => {
  const electron = path.join(folder, "electron");
  mkdirSync(path.join(electron, "resources"), { recursive: true });
  writeFileSync(path.join(electron, "electron"), Buffer.concat([Buffer.from(SENTINEL), Buffer.from([1, FUSES]), Buffer.from("1".repeat(FUSES)), Buffer.alloc(64)]), { mode: 0o755 });
  writeFileSync(path.join(electron, "version"), "45.4.1");
  const built = existsSync(path.join(root, "dist/electron/main.js"));
  const project = path.join(root, "build/uv/linux-x64");
  const ownUv = existsSync(project);
  mkdirSync(project, { recursive: true });
  try {
    if (!built) execFileSync(process.execPath, ["node_modules/vite/bin/vite.js", "build", "-c", "vite.electron.config.ts"], { cwd: root });
    execFileSync(
      process.execPath,
      ["node_modules/electron-builder/cli.js", "--linux", "dir", "--x64", "--publish", "never", "-c", "electron-builder.config.cjs", `-c.electronDist=${electron}`, "-c.electronVersion=45.4.1", `-c.directories.output=${output}`],
      { cwd: root, stdio: "pipe", env: { ...process.env, CSC_IDENTITY_AUTO_DISCOVERY: "false" } },
    );
  } finally {
    if (!ownUv) rmSync(path.join(root, "build/uv"), { recursive: true, force: true });
  }
}, 180_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the built shell", () => {
  const run = (code: string) =>
    execFileSync(process.execPath, ["--import", fileURLToPath(new URL("electron_hook.mjs", import.meta.url)), "--input-type=module", "-e", code], { cwd: root, encoding: "utf8" });

  it("begins, and ends at once where another one runs", () => {
    expect(run('await import("./dist/electron/main.js")')).toBe("quit\n");
  });

  it("carries an updater that can be loaded", () => {
    const chunk = readdirSync(path.join(root, "dist/electron")).find((file) => /^main-.*\.js$/.test(file));
    const told = run(`const { default: updater } = await import("./dist/electron/${chunk}"); console.log(typeof updater.AppImageUpdater, typeof updater.NsisUpdater, typeof updater.MacUpdater)`);
    expect(told).toBe("function function function\n");
  });
});

describe("packaging", () => {
  it("knows one installer for each system", () => {
    expect([config.win.target, config.mac.target, config.linux.target]).toEqual([["nsis"], ["dmg"], ["AppImage"]]);
  });

  it("packs the bundled shell and nothing of node_modules", () => {
    const asar = require("@electron/asar") as { listPackage: (file: string, options: object) => string[] };
    const files = asar.listPackage(path.join(packed, "resources/app.asar"), {});
    expect(files).toEqual(expect.arrayContaining(["/dist/electron/main.js", "/dist/electron/preload.cjs", "/package.json"]));
    expect(files.filter((file) => file.includes("node_modules"))).toEqual([]);
  });

  it("ships the studio with its lock, and no compiled leftovers", () => {
    const studio = path.join(packed, "resources/studio");
    for (const file of ["apps/control_api/__main__.py", "lipbank/training.py", "requirements/base.txt"]) expect(existsSync(path.join(studio, file)), file).toBe(true);
    const all = readdirSync(studio, { recursive: true, encoding: "utf8" });
    expect(all.filter((file) => file.includes("__pycache__"))).toEqual([]);
  });

  it("turns the dangerous fuses off and integrity on", async () => {
    const fuses = (await import("@electron/fuses")) as unknown as {
      getCurrentFuseWire: (file: string) => Promise<Record<number, number>>;
      FuseV1Options: Record<string, number>;
    };
    const wire = await fuses.getCurrentFuseWire(path.join(packed, "livetalking-studio"));
    const state = (name: string) => wire[fuses.FuseV1Options[name] ?? -1];
    for (const name of ["RunAsNode", "EnableNodeOptionsEnvironmentVariable", "EnableNodeCliInspectArguments", "GrantFileProtocolExtraPrivileges"]) expect(state(name), name).toBe(DISABLE);
    for (const name of ["EnableEmbeddedAsarIntegrityValidation", "OnlyLoadAppFromAsar", "EnableCookieEncryption"]) expect(state(name), name).toBe(ENABLE);
  });
});
