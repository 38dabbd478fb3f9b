/** What the tray shows: a pure function of how the studio is, and the thin part that puts it there. */
import { Menu, nativeImage, Tray } from "electron";
import type { PageState } from "./bridge";
import type { Status } from "./status";
import { words } from "./words";

export type TrayAct = "open" | "interrupt" | "quit";

export interface TrayItem {
  readonly label: string;
  readonly act: TrayAct | null;
}

/** The line that says how the studio is. */
export function trayState(status: Status, page: PageState): string {
  const w = words(page.language);
  if (status.state === "crashed" || status.state === "stopped") return w.crashed;
  if (status.state !== "ready") return w.starting;
  const busy = [page.live ? w.live : "", page.training ? w.training : ""].filter((word) => word !== "");
  return busy.length === 0 ? w.ready : busy.join(" · ");
}

/** The menu's lines; a line without an act is not to be clicked. */
export function trayItems(status: Status, page: PageState): readonly TrayItem[] {
  const w = words(page.language);
  return [
    { label: trayState(status, page), act: null },
    { label: w.open, act: "open" },
    ...(page.live ? [{ label: w.interrupt, act: "interrupt" } as const] : []),
    { label: w.quit, act: "quit" },
  ];
}

/** Keeps the tray's icon and menu in step. */
export class StudioTray {
  private readonly tray: Tray;

  constructor(
    icon: string,
    private readonly on: (act: TrayAct) => void,
  ) {
    this.tray = new Tray(nativeImage.createFromPath(icon));
    this.tray.on("click", () => on("open"));
  }

  show(status: Status, page: PageState): void {
    this.tray.setToolTip(`${words(page.language).name}: ${trayState(status, page)}`);
    const items = trayItems(status, page).map(({ label, act }) =>
      act === null ? { label, enabled: false } : { label, click: () => this.on(act) },
    );
    this.tray.setContextMenu(Menu.buildFromTemplate(items));
  }

  end(): void {
    this.tray.destroy();
  }
}
