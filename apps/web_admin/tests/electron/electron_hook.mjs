/** Loaded before a built file of the shell: gives it a stand-in for the electron package, imported or required. */
import Module, { registerHooks } from "node:module";

const stub = {
  app: {
    isPackaged: false,
    getPath: () => "/tmp",
    getAppPath: () => "/tmp",
    getName: () => "studio",
    getVersion: () => "0.1.0",
    getLocale: () => "en",
    requestSingleInstanceLock: () => false,
    quit: () => process.stdout.write("quit\n"),
    on: () => undefined,
    once: () => undefined,
    whenReady: () => Promise.resolve(),
  },
  protocol: { registerSchemesAsPrivileged: () => undefined },
};
for (const name of ["BrowserWindow", "Notification", "Tray"]) stub[name] = function Stub() {};
for (const name of ["dialog", "globalShortcut", "ipcMain", "session", "shell", "Menu", "nativeImage", "net", "autoUpdater"]) stub[name] = {};

const text = `export default globalThis.electronStub; ${Object.keys(stub)
  .map((name) => `export const ${name} = globalThis.electronStub.${name};`)
  .join(" ")}`;
globalThis.electronStub = stub;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "electron" ? { url: `data:text/javascript,${encodeURIComponent(text)}`, shortCircuit: true } : next(specifier, context),
});
const load = Module._load;
Module._load = (request, ...rest) => (request === "electron" ? stub : load(request, ...rest));
