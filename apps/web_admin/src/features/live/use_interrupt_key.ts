import { useEffect } from "react";
import type { LiveConnection } from "./live_connection";

/** Esc anywhere in the page stops the avatar, as does the shell's hot key; a menu or dialog that is open keeps its own Esc. */
export function useInterruptKey(connection: LiveConnection, active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const interrupt = () => void connection.interrupt().catch(() => undefined); // it has just ended: nothing is left to stop
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (document.querySelector('[role="dialog"], [role="listbox"][data-expanded], [aria-expanded="true"][role="combobox"]') !== null) return;
      interrupt();
    };
    window.addEventListener("keydown", onKey);
    const off = window.studio?.onHotkey((key) => {
      if (key === "interrupt") interrupt();
    });
    return () => {
      window.removeEventListener("keydown", onKey);
      off?.();
    };
  }, [connection, active]);
}
