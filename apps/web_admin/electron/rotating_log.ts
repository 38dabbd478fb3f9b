import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import path from "node:path";

/** A log file that is set aside as `.1` when it grows past a size, so that it never fills the disk. */
export class RotatingLog {
  constructor(
    private readonly file: string,
    private readonly maxBytes = 5 * 1024 * 1024,
  ) {
    mkdirSync(path.dirname(file), { recursive: true });
  }

  write(line: string): void {
    if (existsSync(this.file) && statSync(this.file).size > this.maxBytes) renameSync(this.file, `${this.file}.1`);
    appendFileSync(this.file, `${new Date().toISOString()} ${line}\n`);
  }
}
