/** Stands in for the electron package in unit tests: it records what the shell registers and hands it back. */
type Handler = (...args: unknown[]) => unknown;

export const handlers = new Map<string, Handler>();
export const exposed = new Map<string, unknown>();
export const invoked: string[] = [];
export const listeners = new Map<string, Set<Handler>>();

export const contextBridge = {
  exposeInMainWorld: (name: string, value: unknown) => exposed.set(name, value),
};

export const ipcRenderer = {
  invoke: (channel: string) => {
    invoked.push(channel);
    return Promise.resolve(undefined);
  },
  on: (channel: string, listener: Handler) => {
    const known = listeners.get(channel) ?? new Set<Handler>();
    listeners.set(channel, known.add(listener));
  },
  removeListener: (channel: string, listener: Handler) => listeners.get(channel)?.delete(listener),
};

export const appEvents = new Map<string, Handler>();
export const windows: BrowserWindow[] = [];
export const state = { lock: true, quits: 0, opened: [] as string[], takenKeys: [] as string[], response: 0, schemes: [] as unknown[] };

export const app = {
  isPackaged: false,
  getLocale: () => "en-GB",
  getVersion: () => "0.1.0",
  getPath: () => process.env.STUDIO_TEST_LOGS ?? "",
  requestSingleInstanceLock: () => state.lock,
  quit: () => {
    state.quits += 1;
  },
  on: (name: string, handler: Handler) => appEvents.set(name, handler),
  whenReady: () => Promise.resolve(),
};

export const ipcMain = { handle: (channel: string, handler: Handler) => handlers.set(channel, handler) };
export const protocolHandlers = new Map<string, Handler>();
export const protocol = {
  registerSchemesAsPrivileged: (schemes: unknown[]) => state.schemes.push(...schemes),
  handle: (scheme: string, handler: Handler) => protocolHandlers.set(scheme, handler),
};

export const permission: { request?: Handler; check?: Handler } = {};
export const session = {
  defaultSession: {
    setPermissionRequestHandler: (handler: Handler) => {
      permission.request = handler;
    },
    setPermissionCheckHandler: (handler: Handler) => {
      permission.check = handler;
    },
  },
};

export const shortcuts = new Map<string, () => void>();
export const globalShortcut = {
  register: (accelerator: string, act: () => void) => {
    if (state.takenKeys.includes(accelerator)) return false;
    shortcuts.set(accelerator, act);
    return true;
  },
  unregister: (accelerator: string) => shortcuts.delete(accelerator),
};

export const asked: { detail: string }[] = [];
export const dialog = {
  showMessageBox: (...args: unknown[]) => {
    asked.push(args.at(-1) as { detail: string });
    return Promise.resolve({ response: state.response });
  },
};

export class Notification {
  static isSupported = () => true;
  constructor(readonly options: { title: string; body: string }) {}
  show() {
    notices.push(this.options);
  }
}
export const notices: { title: string; body: string }[] = [];

export const nativeImage = { createFromPath: (path: string) => ({ path }) };
export const Menu = { buildFromTemplate: (items: unknown[]) => items };
export class Tray {
  menu: { label: string; click?: () => void }[] = [];
  tip = "";
  constructor(readonly icon: unknown) {
    trays.push(this);
  }
  on() {}
  setToolTip(tip: string) {
    this.tip = tip;
  }
  setContextMenu(items: { label: string; click?: () => void }[]) {
    this.menu = items;
  }
  destroy() {}
}
export const trays: Tray[] = [];

export const shell = { openExternal: (url: string) => Promise.resolve(state.opened.push(url)) };

export class BrowserWindow {
  readonly events = new Map<string, Handler>();
  readonly contentEvents = new Map<string, Handler>();
  readonly sent: unknown[][] = [];
  openHandler: Handler | null = null;
  loaded = "";
  readonly webContents = {
    on: (name: string, handler: Handler) => this.contentEvents.set(name, handler),
    setWindowOpenHandler: (handler: Handler) => {
      this.openHandler = handler;
    },
    send: (...message: unknown[]) => this.sent.push(message),
  };

  constructor(readonly options: { webPreferences: Record<string, unknown> }) {
    windows.push(this);
  }

  on(name: string, handler: Handler) {
    this.events.set(name, handler);
  }

  once(name: string, handler: Handler) {
    this.events.set(name, handler);
  }

  loadURL(url: string) {
    this.loaded = url;
    return Promise.resolve();
  }

  isMinimized() {
    return false;
  }

  focus() {
    this.events.get("focus")?.();
  }
}
