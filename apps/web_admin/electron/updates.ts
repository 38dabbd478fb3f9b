/** Looks for new versions and puts them in place when the studio ends. What it says of itself goes to the page. */
import type { UpdateChannel, UpdateState } from "./bridge";

/** The part of electron-updater that is used. */
export interface Updater {
  autoDownload: boolean;
  autoInstallOnAppQuit: boolean;
  allowPrerelease: boolean;
  allowDowngrade: boolean;
  channel: string | null;
  on(event: string, listener: (info: never) => void): unknown;
  checkForUpdates(): Promise<unknown>;
  quitAndInstall(): void;
}

const EVERY_MS = 6 * 3600 * 1000;

/** Where a channel's versions are listed: `latest.yml`, and `beta.yml` for early ones too. */
export function feedOf(channel: UpdateChannel): { readonly channel: string; readonly prerelease: boolean } | null {
  if (channel === "off") return null;
  return channel === "beta" ? { channel: "beta", prerelease: true } : { channel: "latest", prerelease: false };
}

export class Updates {
  private current: UpdateState = { name: "idle" };
  private timer: NodeJS.Timeout | null = null;
  private wired = false;

  /** `load` is called at the first look: the package is not needed before. */
  constructor(
    private readonly load: () => Promise<Updater>,
    private readonly tell: (state: UpdateState) => void,
  ) {}

  get state(): UpdateState {
    return this.current;
  }

  /** Looks now and, until told otherwise, every few hours. */
  async follow(channel: UpdateChannel): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    const feed = feedOf(channel);
    if (feed === null) return this.become({ name: "off" });
    this.timer = setInterval(() => void this.look(feed), EVERY_MS);
    this.timer.unref();
    await this.look(feed);
  }

  async install(): Promise<void> {
    if (this.current.name === "ready") (await this.load()).quitAndInstall();
  }

  end(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private async look(feed: { channel: string; prerelease: boolean }): Promise<void> {
    if (this.current.name === "checking" || this.current.name === "downloading" || this.current.name === "ready") return;
    this.become({ name: "checking" });
    try {
      const updater = await this.load();
      this.wire(updater);
      updater.channel = feed.channel;
      // Setting a channel allows downgrades by itself: going back from beta waits for the next finished version instead.
      updater.allowDowngrade = false;
      updater.allowPrerelease = feed.prerelease;
      await updater.checkForUpdates();
    } catch (error) {
      this.become({ name: "failed", reason: reasonOf(error) });
    }
  }

  private wire(updater: Updater): void {
    if (this.wired) return;
    this.wired = true;
    updater.autoDownload = true;
    updater.autoInstallOnAppQuit = true;
    updater.on("update-not-available", () => this.become({ name: "none" }));
    updater.on("update-available", (info: { version: string }) => this.become({ name: "available", version: info.version }));
    updater.on("download-progress", (info: { percent: number }) => this.become({ name: "downloading", share: info.percent / 100 }));
    updater.on("update-downloaded", (info: { version: string }) => this.become({ name: "ready", version: info.version }));
    updater.on("error", (error: Error) => this.become({ name: "failed", reason: reasonOf(error) }));
  }

  private become(state: UpdateState): void {
    this.current = state;
    this.tell(state);
  }
}

/** One line, without the stack electron-updater puts into its messages. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n")[0] ?? "").slice(0, 300);
}
