import { contextBridge, ipcRenderer } from "electron";
import { CHANNELS, type StudioBridge } from "./bridge";

/** A listener for what the shell sends on one channel, and how to take it away. */
function heard<Message>(channel: string): (listener: (message: Message) => void) => () => void {
  return (listener) => {
    const relay = (_event: unknown, message: Message) => listener(message);
    ipcRenderer.on(channel, relay);
    return () => {
      ipcRenderer.removeListener(channel, relay);
    };
  };
}

const bridge: StudioBridge = {
  connection: () => ipcRenderer.invoke(CHANNELS.connection),
  restart: () => ipcRenderer.invoke(CHANNELS.restart),
  onStatus: heard(CHANNELS.status),
  onSetup: heard(CHANNELS.setup),
  tellState: (state) => ipcRenderer.invoke(CHANNELS.state, state),
  notify: (notice) => ipcRenderer.invoke(CHANNELS.notify, notice),
  onHotkey: heard(CHANNELS.hotkey),
  onUpdate: heard(CHANNELS.update),
  checkUpdate: (channel) => ipcRenderer.invoke(CHANNELS.checkUpdate, channel),
  installUpdate: () => ipcRenderer.invoke(CHANNELS.installUpdate),
};

contextBridge.exposeInMainWorld("studio", bridge);
