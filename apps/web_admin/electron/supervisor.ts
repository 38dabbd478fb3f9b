/** Owns the Python child: starts it, knows how it is, restarts it a bounded number of times, and always ends it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import readline from "node:readline";
import { parseReadyLine } from "./ready_line";
import type { Status } from "./status";

export interface SupervisorOptions {
  /** Asked at every start, for a Python that is only made after the shell has begun. */
  readonly command: string | (() => string);
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Handed to the child as STUDIO_TOKEN: never on the command line, never in an address. */
  readonly token: string;
  readonly readyTimeoutMs?: number;
  readonly stopTimeoutMs?: number;
  /** Restarts allowed before the supervisor gives up; a run longer than `healthyAfterMs` starts the count anew. */
  readonly maxRestarts?: number;
  readonly healthyAfterMs?: number;
  readonly backoffMs?: number;
  readonly onLog?: (line: string) => void;
}

const KEPT_LINES = 40;

export class Supervisor extends EventEmitter<{ status: [Status] }> {
  private child: ChildProcess | null = null;
  private current: Status = { state: "stopped" };
  private restarts = 0;
  private startedAt = 0;
  private retry: NodeJS.Timeout | null = null;
  private exited: Promise<void> = Promise.resolve();
  private lines: string[] = [];

  constructor(private readonly options: SupervisorOptions) {
    super();
  }

  get status(): Status {
    return this.current;
  }

  /** Starts the child. How it goes on is told by `status` events. Does nothing while it runs. */
  start(): void {
    if (this.child !== null || this.retry !== null) return;
    this.restarts = 0;
    this.launch();
  }

  /** Ends the child: its standard input closes, which asks it to stop; then SIGTERM; then its whole group is killed. */
  async stop(): Promise<void> {
    if (this.retry !== null) clearTimeout(this.retry);
    this.retry = null;
    const child = this.child;
    if (child === null) {
      this.become({ state: "stopped" });
      return;
    }
    this.become({ state: "stopping" });
    const grace = this.options.stopTimeoutMs ?? 8000;
    child.stdin?.end();
    if (!(await this.endsWithin(grace))) {
      child.kill("SIGTERM");
      if (!(await this.endsWithin(grace / 2))) killTree(child);
    }
    await this.exited;
    this.become({ state: "stopped" });
  }

  private launch(): void {
    this.become({ state: "starting", attempt: this.restarts + 1 });
    this.lines = [];
    this.startedAt = Date.now();
    const { command, args, cwd, env, token } = this.options;
    const child = spawn(typeof command === "string" ? command : command(), args, {
      cwd,
      env: { ...env, STUDIO_TOKEN: token },
      stdio: ["pipe", "pipe", "pipe"],
      // A group of its own, so that nothing it started outlives it.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    this.child = child;
    const late = setTimeout(() => {
      this.keep("no ready line in time");
      killTree(child);
    }, this.options.readyTimeoutMs ?? 60_000);
    // A child that died before reading makes the pipe fail; its exit is what counts.
    child.stdin.on("error", (error) => this.keep(`stdin: ${error.message}`));
    readline.createInterface({ input: child.stdout }).on("line", (line) => this.onLine(line, late));
    readline.createInterface({ input: child.stderr }).on("line", (line) => this.keep(line));
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => {
        clearTimeout(late);
        this.onEnd(error.message);
        resolve();
      });
      child.once("exit", (code, signal) => {
        clearTimeout(late);
        killTree(child);
        this.onEnd(signal ?? `exit code ${code}`);
        resolve();
      });
    });
  }

  private onLine(line: string, late: NodeJS.Timeout): void {
    const ready = this.current.state === "starting" ? parseReadyLine(line) : null;
    if (ready === null) {
      this.keep(line);
      return;
    }
    clearTimeout(late);
    this.become({ state: "ready", ...ready });
  }

  private onEnd(reason: string): void {
    if (this.child === null) return;
    this.child = null;
    if (this.current.state === "stopping") return;
    if (Date.now() - this.startedAt > (this.options.healthyAfterMs ?? 60_000)) this.restarts = 0;
    const final = this.restarts >= (this.options.maxRestarts ?? 5);
    this.become({ state: "crashed", reason, lastLines: [...this.lines], final });
    if (final) return;
    const wait = (this.options.backoffMs ?? 500) * 2 ** this.restarts;
    this.restarts += 1;
    this.retry = setTimeout(() => {
      this.retry = null;
      this.launch();
    }, wait);
  }

  private keep(line: string): void {
    const clean = line.replaceAll(this.options.token, "***");
    this.lines.push(clean);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    this.options.onLog?.(clean);
  }

  private become(status: Status): void {
    this.current = status;
    this.emit("status", status);
  }

  private endsWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      void this.exited.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

/** Ends the child and whatever it left behind in its group. */
function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    spawnSync("taskkill", ["/pid", String(child.pid), "/T", "/F"], { windowsHide: true });
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // Nobody left in the group.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
