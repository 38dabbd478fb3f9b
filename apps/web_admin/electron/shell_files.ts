/** Where things lie: beside the sources while the shell is developed, in its resources once it is installed. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Place } from "./first_run";

export interface Folders {
  readonly here: string;
  readonly resources: string;
  readonly userData: string;
  readonly packaged: boolean;
  readonly platform: NodeJS.Platform;
  readonly home: string | undefined;
}

export function placeOf(folders: Folders): Place {
  const windows = folders.platform === "win32";
  const studio = folders.home ?? (folders.packaged ? path.join(folders.resources, "studio") : path.resolve(folders.here, "../../../.."));
  return {
    studio,
    environment: folders.packaged ? path.join(folders.userData, "python") : path.join(studio, ".venv"),
    uv: path.join(folders.resources, "uv", windows ? "uv.exe" : "uv"),
    windows,
  };
}

/** Arguments of the control API; an installed studio keeps its data where the user may write. */
export function apiArguments(folders: Folders): readonly string[] {
  const own = folders.packaged ? ["--data-dir", path.join(folders.userData, "data"), "--models-dir", path.join(folders.userData, "models")] : [];
  return ["-m", "apps.control_api", "--port", "0", "--stdin-lifeline", ...own];
}

/** The Python that runs the studio: its own environment's, else the system's. */
export function pythonOf(environment: string): string {
  const own = ["bin/python", "Scripts/python.exe"].map((tail) => path.join(environment, tail));
  return own.find((file) => existsSync(file)) ?? "python3";
}
