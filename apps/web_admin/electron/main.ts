import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { app, BrowserWindow, ipcMain, type IpcMainInvokeEvent, protocol, session, shell } from "electron";
import { CHANNELS } from "./bridge";
import { whenReady } from "./connection";
import { mediaType } from "./media_type";
import { contentSecurityPolicy, isOwnPage, isTrustedSender, ORIGIN, permissionVerdict, resolvePageFile, SCHEME, windowVerdict } from "./policy";
import { RotatingLog } from "./rotating_log";
import { Supervisor } from "./supervisor";

const here = path.dirname(fileURLToPath(import.meta.url));
const pageFolder = path.join(here, "../renderer");
const studioFolder = process.env.STUDIO_HOME ?? (app.isPackaged ? path.join(process.resourcesPath, "studio") : path.resolve(here, "../../../.."));

function pythonOf(folder: string): string {
  const own = ["bin/python", "Scripts/python.exe"].map((tail) => path.join(folder, ".venv", tail));
  return own.find((file) => existsSync(file)) ?? "python3";
}

function makeSupervisor(token: string): Supervisor {
  const log = new RotatingLog(path.join(app.getPath("logs"), "control_api.log"));
  return new Supervisor({
    command: pythonOf(studioFolder),
    args: ["-m", "apps.control_api", "--port", "0", "--stdin-lifeline"],
    cwd: studioFolder,
    env: process.env,
    token,
    onLog: (line) => log.write(line),
  });
}

async function servePage(request: Request): Promise<Response> {
  const file = resolvePageFile(pageFolder, request.url);
  if (file === null || !existsSync(file)) return new Response("Not found", { status: 404 });
  return new Response(new Uint8Array(await readFile(file)), {
    headers: {
      "Content-Type": mediaType(file),
      "Content-Security-Policy": contentSecurityPolicy(),
      "X-Content-Type-Options": "nosniff",
    },
  });
}

function guardSession(): void {
  const own = session.defaultSession;
  own.setPermissionRequestHandler((_contents, permission, answer, details) => {
    const mediaTypes = "mediaTypes" in details ? details.mediaTypes : [];
    answer(permissionVerdict(permission, details.requestingUrl, mediaTypes));
  });
  own.setPermissionCheckHandler((_contents, permission, origin, details) =>
    permissionVerdict(permission, `${origin.replace(/\/$/, "")}/`, details.mediaType === undefined ? [] : [details.mediaType]),
  );
}

function openWindow(): BrowserWindow {
  const window = new BrowserWindow({
    width: 1440,
    height: 900,
    minWidth: 1024,
    minHeight: 640,
    show: false,
    backgroundColor: "#14151f",
    webPreferences: {
      preload: path.join(here, "preload.cjs"),
      contextIsolation: true,
      nodeIntegration: false,
      sandbox: true,
      webSecurity: true,
      spellcheck: false,
    },
  });
  const contents = window.webContents;
  contents.on("will-navigate", (event) => {
    if (!isOwnPage(event.url)) event.preventDefault();
  });
  contents.on("will-attach-webview", (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    if (windowVerdict(url) === "external") void shell.openExternal(url);
    return { action: "deny" };
  });
  window.once("ready-to-show", () => window.show());
  void window.loadURL(`${ORIGIN}/`);
  return window;
}

function answer<Result>(channel: string, handler: () => Result): void {
  ipcMain.handle(channel, (event: IpcMainInvokeEvent) => {
    if (!isTrustedSender(event.senderFrame)) throw new Error("Refused.");
    return handler();
  });
}

function run(): void {
  const token = randomBytes(32).toString("base64url");
  const supervisor = makeSupervisor(token);
  let window: BrowserWindow | null = null;
  let ended = false;

  app.on("second-instance", () => {
    if (window?.isMinimized()) window.restore();
    window?.focus();
  });
  app.on("window-all-closed", () => app.quit());
  app.on("before-quit", (event) => {
    if (ended) return;
    event.preventDefault();
    void supervisor.stop().finally(() => {
      ended = true;
      app.quit();
    });
  });
  supervisor.on("status", (status) => window?.webContents.send(CHANNELS.status, status));
  answer(CHANNELS.connection, () => whenReady(supervisor, token));
  answer(CHANNELS.restart, async () => {
    await supervisor.stop();
    supervisor.start();
  });
  void app.whenReady().then(() => {
    protocol.handle(SCHEME, servePage);
    guardSession();
    supervisor.start();
    window = openWindow();
    window.on("closed", () => {
      window = null;
    });
  });
}

protocol.registerSchemesAsPrivileged([
  { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true } },
]);
if (app.requestSingleInstanceLock()) run();
else app.quit();
