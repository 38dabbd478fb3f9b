/** The supervisor against real Python children. */
import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { whenReady } from "../../electron/connection";
import type { Status } from "../../electron/status";
import { Supervisor, type SupervisorOptions } from "../../electron/supervisor";

const READY = "import sys, os, json, time\nprint(json.dumps({'event': 'ready', 'port': 4242, 'pid': os.getpid()}), flush=True)\n";
const LIFELINE = `${READY}sys.stdin.read()\n`;

let running: Supervisor | null = null;

function make(code: string, options: Partial<SupervisorOptions> = {}): { supervisor: Supervisor; seen: Status[]; log: string[] } {
  const log: string[] = [];
  const supervisor = new Supervisor({
    command: "python3",
    args: ["-c", code],
    cwd: process.cwd(),
    env: process.env,
    token: "s3cret-token",
    backoffMs: 20,
    stopTimeoutMs: 1500,
    onLog: (line) => log.push(line),
    ...options,
  });
  const seen: Status[] = [];
  supervisor.on("status", (status) => seen.push(status));
  running = supervisor;
  return { supervisor, seen, log };
}

function until(supervisor: Supervisor, wanted: (status: Status) => boolean): Promise<Status> {
  return new Promise((resolve) => {
    const look = (status: Status) => {
      if (!wanted(status)) return;
      supervisor.off("status", look);
      resolve(status);
    };
    supervisor.on("status", look);
    look(supervisor.status);
  });
}

/** A killed orphan may stay as a zombie where no init collects it: that one counts as ended. */
function alive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !readFileSync(stat, "utf8").includes(") Z ");
}

afterEach(async () => {
  await running?.stop();
  running = null;
});

describe("a healthy child", () => {
  it("is ready, and stops when its standard input ends", async () => {
    const { supervisor, seen } = make(LIFELINE);
    supervisor.start();
    const connection = await whenReady(supervisor, "s3cret-token");
    expect(connection).toEqual({ url: "http://127.0.0.1:4242", token: "s3cret-token" });
    const ready = supervisor.status;
    const started = Date.now();
    await supervisor.stop();
    expect(Date.now() - started).toBeLessThan(1400);
    expect(seen.map((status) => status.state)).toEqual(["starting", "ready", "stopping", "stopped"]);
    expect(ready.state === "ready" && alive(ready.pid)).toBe(false);
  });

  it("gets the token by environment and never on its command line; logs hide it", async () => {
    const code = `${READY}print('env', os.environ['STUDIO_TOKEN'], flush=True)\nprint('argv', 's3cret' in ' '.join(sys.argv), flush=True)\nsys.stdin.read()\n`;
    const { supervisor, log } = make(code);
    supervisor.start();
    await whenReady(supervisor, "s3cret-token");
    await expect.poll(() => log.length).toBe(2);
    expect(log).toEqual(["env ***", "argv False"]);
  });

  it("is started once only", async () => {
    const { supervisor, seen } = make(LIFELINE);
    supervisor.start();
    supervisor.start();
    await whenReady(supervisor, "");
    supervisor.start();
    expect(seen.filter((status) => status.state === "starting")).toHaveLength(1);
  });
});

describe("a child in trouble", () => {
  it("is restarted a bounded number of times, then given up with its last lines", async () => {
    const { supervisor, seen } = make("import sys; print('no such module', file=sys.stderr); sys.exit(3)", { maxRestarts: 2 });
    supervisor.start();
    const end = await until(supervisor, (status) => status.state === "crashed" && status.final);
    expect(end).toMatchObject({ reason: "exit code 3", lastLines: ["no such module"], final: true });
    expect(seen.filter((status) => status.state === "starting")).toHaveLength(3);
    await expect(whenReady(supervisor, "")).rejects.toThrow("no such module");
  });

  it("comes back after a crash while ready", async () => {
    const { supervisor } = make(LIFELINE);
    supervisor.start();
    const first = await until(supervisor, (status) => status.state === "ready");
    if (first.state === "ready") process.kill(first.pid, "SIGKILL");
    await until(supervisor, (status) => status.state === "crashed");
    const second = await until(supervisor, (status) => status.state === "ready");
    expect(first.state === "ready" && second.state === "ready" && first.pid !== second.pid).toBe(true);
  });

  it("is ended when no ready line comes in time", async () => {
    const { supervisor } = make("import time; time.sleep(60)", { readyTimeoutMs: 200, maxRestarts: 0 });
    supervisor.start();
    const end = await until(supervisor, (status) => status.state === "crashed");
    expect(end).toMatchObject({ reason: "SIGKILL", lastLines: ["no ready line in time"] });
  });

  it("is killed with all it started when it ignores every request", async () => {
    const deaf = `import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n${READY}grandchild = subprocess.Popen(['sleep', '60'])\nprint(grandchild.pid, flush=True)\ntime.sleep(60)\n`;
    const { supervisor, log } = make(deaf, { stopTimeoutMs: 300 });
    supervisor.start();
    await whenReady(supervisor, "");
    await expect.poll(() => log.length).toBe(1);
    await supervisor.stop();
    await expect.poll(() => alive(Number(log[0]))).toBe(false);
  });

  it("leaves nothing behind when it is killed from outside", async () => {
    const code = `import subprocess\n${READY}print(subprocess.Popen(['sleep', '60']).pid, flush=True)\nsys.stdin.read()\n`;
    const { supervisor, log } = make(code, { maxRestarts: 0 });
    supervisor.start();
    await whenReady(supervisor, "");
    await expect.poll(() => log.length).toBe(1);
    if (supervisor.status.state === "ready") process.kill(supervisor.status.pid, "SIGKILL");
    await expect.poll(() => alive(Number(log[0]))).toBe(false);
  });

  it("says so when the program does not exist", async () => {
    const { supervisor } = make("", { command: "/no/such/python", maxRestarts: 0 });
    supervisor.start();
    const end = await until(supervisor, (status) => status.state === "crashed");
    expect(end.state === "crashed" && end.reason).toContain("ENOENT");
  });

  it("is not restarted after a stop", async () => {
    const { supervisor, seen } = make("import sys; sys.exit(1)", { backoffMs: 100 });
    supervisor.start();
    await until(supervisor, (status) => status.state === "crashed");
    await supervisor.stop();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(seen.at(-1)).toEqual({ state: "stopped" });
  });
});
