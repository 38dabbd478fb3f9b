/** Keys that work while another program is in front: only as long as somebody is live, so that they are nobody's loss. */
import type { Hotkey } from "./bridge";

export const ACCELERATORS: Readonly<Record<Hotkey, string>> = {
  interrupt: "CommandOrControl+Alt+I",
  talk: "CommandOrControl+Alt+T",
};

export interface Shortcuts {
  register(accelerator: string, act: () => void): boolean;
  unregister(accelerator: string): void;
}

export class Hotkeys {
  private held = new Set<string>();

  constructor(
    private readonly shortcuts: Shortcuts,
    private readonly on: (key: Hotkey) => void,
  ) {}

  /** Takes the keys when somebody goes live and gives them back afterwards. Returns those another program holds. */
  follow(live: boolean): readonly Hotkey[] {
    if (!live) {
      for (const accelerator of this.held) this.shortcuts.unregister(accelerator);
      this.held.clear();
      return [];
    }
    const taken: Hotkey[] = [];
    for (const [key, accelerator] of Object.entries(ACCELERATORS) as [Hotkey, string][]) {
      if (this.held.has(accelerator)) continue;
      if (this.shortcuts.register(accelerator, () => this.on(key))) this.held.add(accelerator);
      else taken.push(key);
    }
    return taken;
  }
}
