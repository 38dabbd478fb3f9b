import { expect, it } from "vitest";
import { bytesText } from "../../src/i18n/format";
import en from "../../src/i18n/en";
import zh from "../../src/i18n/zh-CN";

type Tree = { readonly [key: string]: string | Tree };

function flatten(tree: Tree, prefix = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string" ? [[`${prefix}${key}`, value] as [string, string]] : flatten(value, `${prefix}${key}.`),
  );
}

const english = new Map(flatten(en));
const chinese = new Map(flatten(zh));
const placeholders = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort();

it("has the same keys in both languages, none empty", () => {
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  for (const [key, text] of [...english, ...chinese]) expect(text.trim(), key).not.toBe("");
});

it("fills the same places in both languages", () => {
  for (const [key, text] of english) expect(placeholders(chinese.get(key) ?? ""), key).toEqual(placeholders(text));
});

it("mixes no languages", () => {
  for (const [key, text] of english) expect(text, key).not.toMatch(/[\u4e00-\u9fff]/);
  const names = /\{\{\w+\}\}|MP4|MOV|MKV|WebM|VP9|Ctrl|Enter|Esc|data\/token|OpenAI|Ollama|UDP|WebSocket/g;
  for (const [key, text] of chinese) expect(text.replace(names, ""), key).not.toMatch(/[A-Za-z]/);
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1500, "1.5 kB"],
  [150_000, "150 kB"],
  [2_033_512, "2.0 MB"],
  [5e12, "5.0 TB"],
  [5e15, "5000 TB"],
])("writes %d bytes as %s", (value, text) => expect(bytesText(value)).toBe(text));
