import { contextBridge, ipcRenderer } from "electron";
import { CHANNELS, type StudioBridge } from "./bridge";

const bridge: StudioBridge = {
  connection: () => ipcRenderer.invoke(CHANNELS.connection),
  restart: () => ipcRenderer.invoke(CHANNELS.restart),
  onStatus: (listener) => {
    const relay = (_event: unknown, status: Parameters<typeof listener>[0]) => listener(status);
    ipcRenderer.on(CHANNELS.status, relay);
    return () => ipcRenderer.removeListener(CHANNELS.status, relay);
  },
};

contextBridge.exposeInMainWorld("studio", bridge);
