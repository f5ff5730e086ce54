/** @file Facts of `metalr studio` as a process: the printed address, its end by Ctrl-C and with its parent, a taken port. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { exists } from "../../studio/server/alive.js";
import { run } from "../host.testing.js";

const bin = fileURLToPath(new URL("../bin.ts", import.meta.url));
const words = ["--import", "tsx", bin, "studio", "/nowhere/runs", "--no-open"];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

/** The first line of standard output. */
async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const bytes of child.stdout ?? []) {
    text += String(bytes);
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));

test("prints an address that answers, and that answers nobody without its token; Ctrl-C ends it", async () => {
  const child = start(process.execPath, words);
  const url = await firstLine(child);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{22}$/);
  expect((await fetch(url)).status).toBe(200);
  expect((await fetch(new URL("/", url))).status).toBe(401);
  const end = ended(child);
  child.kill("SIGINT");
  expect(await end).toBe(0);
});

test("ends when the process that started it is gone, however that went", async () => {
  const script = `const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, ${JSON.stringify(words)}, { stdio: "inherit" });
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const parent = start(process.execPath, ["-e", script]);
  let text = "";
  for await (const bytes of parent.stdout ?? []) {
    text += String(bytes);
    if (/\d+\n/.test(text) && /http:.*\n/.test(text)) break;
  }
  const pid = Number(/^\d+/.exec(text)?.[0]);
  expect(exists(pid)).toBe(true);
  parent.kill("SIGKILL");
  await expect.poll(() => exists(pid), { timeout: 20_000 }).toBe(false);
});

test("a port that is taken", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo; // it listens on TCP
  expect(await run(["studio", "/nowhere/runs", "--no-open", "--port", String(port)])).toEqual({
    code: 2,
    out: "",
    err: `--port: ${port} is taken by another program\n  hint     name another one, or none: any free port is taken\n`,
  });
  other.close();
});
