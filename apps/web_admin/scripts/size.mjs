/** Fails where the scripts of the first load weigh more than 450 kB gzipped. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 450 * 1000;
const folder = new URL("../dist/renderer/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", folder), "utf8"));
const files = new Set();

function collect(key) {
  const chunk = manifest[key];
  if (files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const next of chunk.imports ?? []) collect(next);
}

collect("index.html");
const total = [...files].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, folder))).length, 0);
console.log(`first load: ${(total / 1000).toFixed(1)} kB gzip of scripts in ${files.size} files`);
if (total > LIMIT) process.exit(1);
