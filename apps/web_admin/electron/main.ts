import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { app, BrowserWindow, dialog, globalShortcut, ipcMain, type IpcMainInvokeEvent, Notification, protocol, session, shell } from "electron";
import { CHANNELS, type PageState, type SetupStep } from "./bridge";
import { whenReady } from "./connection";
import { isSetUp, runCommand, setupPlan } from "./first_run";
import { Hotkeys } from "./hotkeys";
import { mediaType } from "./media_type";
import { readChannel, readNotice, readPageState } from "./messages";
import { contentSecurityPolicy, isOwnPage, isTrustedSender, ORIGIN, permissionVerdict, resolvePageFile, SCHEME, windowVerdict } from "./policy";
import { RotatingLog } from "./rotating_log";
import { quitQuestion } from "./safe_quit";
import { apiArguments, type Folders, placeOf, pythonOf } from "./shell_files";
import { Supervisor } from "./supervisor";
import { StudioTray, type TrayAct } from "./tray";
import { type Updater, Updates } from "./updates";

const here = path.dirname(fileURLToPath(import.meta.url));
const pageFolder = path.join(here, "../renderer");
/** The version of PyTorch the studio is made for, and where it comes from; `STUDIO_TORCH_INDEX` names a mirror. */
const TORCH = { version: "2.13.0", index: process.env.STUDIO_TORCH_INDEX ?? "https://download.pytorch.org/whl/cpu" };

function folders(): Folders {
  return {
    here,
    resources: process.resourcesPath ?? here,
    userData: app.getPath("userData"),
    packaged: app.isPackaged,
    platform: process.platform,
    home: process.env.STUDIO_HOME,
  };
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

function answer<Result>(channel: string, handler: (argument: unknown) => Result): void {
  ipcMain.handle(channel, (event: IpcMainInvokeEvent, argument: unknown) => {
    if (!isTrustedSender(event.senderFrame)) throw new Error("Refused.");
    return handler(argument);
  });
}

async function loadUpdater(): Promise<Updater> {
  const { autoUpdater } = (await import("electron-updater")).default;
  return autoUpdater as unknown as Updater;
}

/** The shell while it runs: its window, tray, keys, child and updates. */
class Shell {
  private readonly token = randomBytes(32).toString("base64url");
  private readonly supervisor: Supervisor;
  private readonly log = new RotatingLog(path.join(app.getPath("logs"), "control_api.log"));
  private readonly hotkeys = new Hotkeys(globalShortcut, (key) => this.send(CHANNELS.hotkey, key));
  private readonly updates = new Updates(loadUpdater, (state) => this.send(CHANNELS.update, state));
  private readonly place = placeOf(folders());
  private window: BrowserWindow | null = null;
  private tray: StudioTray | null = null;
  private page: PageState = { live: false, training: false, language: app.getLocale().startsWith("zh") ? "zh-CN" : "en" };
  private ended = false;
  private asking = false;
  private setUp: Promise<void> | null = null;

  constructor() {
    this.supervisor = new Supervisor({
      command: () => pythonOf(this.place.environment),
      args: apiArguments(folders()),
      cwd: this.place.studio,
      env: process.env,
      token: this.token,
      onLog: (line) => this.log.write(line),
    });
  }

  wire(): void {
    app.on("second-instance", () => this.open());
    // The tray keeps the studio running while its window is shut; without one the window's end is the studio's.
    app.on("window-all-closed", () => {
      if (this.tray === null || !(this.page.live || this.page.training)) app.quit();
    });
    app.on("activate", () => this.open());
    app.on("before-quit", (event) => this.beforeQuit(event));
    this.supervisor.on("status", (status) => {
      this.send(CHANNELS.status, status);
      this.tray?.show(status, this.page);
    });
    answer(CHANNELS.connection, async () => {
      await this.setUp;
      return whenReady(this.supervisor, this.token);
    });
    answer(CHANNELS.restart, async () => {
      await this.supervisor.stop();
      await this.start();
    });
    answer(CHANNELS.state, (state) => this.follow(readPageState(state)));
    answer(CHANNELS.notify, (notice) => {
      if (Notification.isSupported()) new Notification(readNotice(notice)).show();
    });
    answer(CHANNELS.checkUpdate, (channel) => this.updates.follow(readChannel(channel)));
    answer(CHANNELS.installUpdate, () => this.updates.install());
  }

  async begin(): Promise<void> {
    protocol.handle(SCHEME, servePage);
    guardSession();
    this.open();
    const icon = path.join(pageFolder, "tray.png");
    if (existsSync(icon)) {
      this.tray = new StudioTray(icon, (act) => this.act(act));
      this.tray.show(this.supervisor.status, this.page);
    }
    await this.start();
  }

  /** Makes the environment if there is none, then starts the child. A failure is told by whoever asks for the connection. */
  private start(): Promise<void> {
    this.setUp = this.makeEnvironment().then(() => this.supervisor.start());
    return this.setUp.catch((error: unknown) => this.log.write(String(error)));
  }

  private async makeEnvironment(): Promise<void> {
    if (!app.isPackaged || isSetUp(this.place)) return;
    const tell = (step: SetupStep) => {
      this.log.write(step.line);
      this.send(CHANNELS.setup, step);
    };
    for (const command of setupPlan(this.place, TORCH)) await runCommand(this.place.uv, command, tell);
    writeFileSync(path.join(this.place.environment, "studio-ready"), `${app.getVersion()}\n`);
    tell({ step: "start", share: null, line: "" });
  }

  private open(): void {
    if (this.window === null) {
      this.window = openWindow();
      this.window.on("closed", () => {
        this.window = null;
      });
      return;
    }
    if (this.window.isMinimized()) this.window.restore();
    this.window.focus();
  }

  private act(act: TrayAct): void {
    if (act === "open") this.open();
    else if (act === "interrupt") this.send(CHANNELS.hotkey, "interrupt");
    else app.quit();
  }

  private follow(page: PageState): void {
    this.page = page;
    const taken = this.hotkeys.follow(page.live);
    if (taken.length > 0) this.log.write(`held by another program: ${taken.join(", ")}`);
    this.tray?.show(this.supervisor.status, page);
  }

  private beforeQuit(event: { preventDefault: () => void }): void {
    if (this.ended) return;
    event.preventDefault();
    if (this.asking) return;
    const question = quitQuestion(this.page);
    if (question === null) return void this.end();
    this.asking = true;
    const options = { type: "question" as const, message: question.message, detail: question.detail, buttons: [...question.buttons], defaultId: 0, cancelId: 0 };
    void (this.window === null ? dialog.showMessageBox(options) : dialog.showMessageBox(this.window, options)).then(({ response }) => {
      this.asking = false;
      if (response === 1) void this.end();
    });
  }

  /** Waits for the child: it ends its sessions in order and puts a training back at a safe point. */
  private async end(): Promise<void> {
    this.hotkeys.follow(false);
    this.updates.end();
    await this.supervisor.stop();
    this.tray?.end();
    this.ended = true;
    app.quit();
  }

  private send(channel: string, message: unknown): void {
    this.window?.webContents.send(channel, message);
  }
}

protocol.registerSchemesAsPrivileged([
  { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true } },
]);
if (app.requestSingleInstanceLock()) {
  const studio = new Shell();
  studio.wire();
  void app.whenReady().then(() => studio.begin());
} else {
  app.quit();
}
