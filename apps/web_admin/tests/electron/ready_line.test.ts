import { expect, it } from "vitest";
import { parseReadyLine } from "../../electron/ready_line";

it("reads the line and builds the address itself", () => {
  const line = '{"event":"ready","port":4242,"pid":7,"url":"http://evil.example:4242"}';
  expect(parseReadyLine(line)).toEqual({ port: 4242, pid: 7, url: "http://127.0.0.1:4242" });
});

it.each([
  "",
  "ready",
  "null",
  "[]",
  '{"event":"started","port":1,"pid":1}',
  '{"event":"ready","port":"80","pid":1}',
  '{"event":"ready","port":0,"pid":1}',
  '{"event":"ready","port":65536,"pid":1}',
  '{"event":"ready","port":80.5,"pid":1}',
  '{"event":"ready","port":80}',
])("refuses %s", (line) => expect(parseReadyLine(line)).toBeNull());
