/** Makes the Python environment at the first start, with the `uv` that is shipped: a locked one, checked by hashes. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import readline from "node:readline";
import type { SetupStep } from "./bridge";

export interface Place {
  /** Where the studio's own files lie; read only once it is installed. */
  readonly studio: string;
  /** Where the environment is kept. */
  readonly environment: string;
  readonly uv: string;
  readonly windows: boolean;
}

export interface Command {
  readonly step: SetupStep["step"];
  readonly args: readonly string[];
}

export function pythonIn(environment: string, windows: boolean): string {
  return path.join(environment, windows ? "Scripts/python.exe" : "bin/python");
}

/** What is done, in order. PyTorch comes first and from its own index: the lock leaves it out (decision 3). */
export function setupPlan(place: Place, torch: { readonly version: string; readonly index: string }): readonly Command[] {
  const python = pythonIn(place.environment, place.windows);
  return [
    { step: "python", args: ["venv", "--python", "3.11", "--allow-existing", place.environment] },
    { step: "packages", args: ["pip", "install", "--python", python, "--index-url", torch.index, `torch==${torch.version}`] },
    {
      step: "packages",
      args: ["pip", "install", "--python", python, "--no-deps", "--require-hashes", "-r", path.join(place.studio, "requirements/base.txt")],
    },
  ];
}

/** The share of a step that is done, from one of uv's lines; null where it says nothing of it. */
export function shareOf(line: string): number | null {
  const found = /\((\d+)\/(\d+)\)/.exec(line);
  if (found === null) return null;
  const [done, all] = [Number(found[1]), Number(found[2])];
  return all > 0 ? Math.min(1, done / all) : null;
}

/** Whether the environment is there already. */
export function isSetUp(place: Place): boolean {
  return existsSync(pythonIn(place.environment, place.windows)) && existsSync(path.join(place.environment, "studio-ready"));
}

const KEPT_LINES = 20;

/** Runs one command of the plan to its end; its lines become progress. Rejects with its last lines. */
export function runCommand(uv: string, command: Command, tell: (step: SetupStep) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(uv, [...command.args, "--no-progress", "--color", "never"], { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
    const last: string[] = [];
    const hear = (line: string) => {
      last.push(line);
      if (last.length > KEPT_LINES) last.shift();
      tell({ step: command.step, share: shareOf(line), line });
    };
    readline.createInterface({ input: child.stdout }).on("line", hear);
    readline.createInterface({ input: child.stderr }).on("line", hear);
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error([`uv ${command.args[0]} ended with ${code}.`, ...last].join("\n")));
    });
  });
}
