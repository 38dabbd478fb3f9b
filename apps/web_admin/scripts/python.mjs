import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of the whole studio. */
export const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The studio's own Python, or the one named by STUDIO_PYTHON. */
export function python() {
  const own = ["bin/python", "Scripts/python.exe"].map((tail) => `${root}.venv/${tail}`).find((path) => existsSync(path));
  return process.env.STUDIO_PYTHON ?? own ?? "python3";
}
