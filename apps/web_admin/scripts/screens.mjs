/** `npm run screens DIR`: a screenshot of every page, both languages, both themes. */
import { spawnSync } from "node:child_process";
import path from "node:path";

const folder = process.argv[2];
if (folder === undefined) {
  console.error("usage: npm run screens DIR");
  process.exit(2);
}
const run = spawnSync("playwright", ["test", "--project", "screens"], {
  stdio: "inherit",
  shell: process.platform === "win32",
  env: { ...process.env, SCREENS_DIR: path.resolve(folder) },
});
process.exit(run.status ?? 1);
