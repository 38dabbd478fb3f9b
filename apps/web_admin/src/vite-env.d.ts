/// <reference types="vite/client" />
import type { StudioBridge } from "../electron/bridge";

declare global {
  interface Window {
    /** Present inside the desktop shell. */
    readonly studio?: StudioBridge;
  }
}
