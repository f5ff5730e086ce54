#!/usr/bin/env node
/** @file The command `metalr`: the only file that prints and exits. */
import { fork, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { nodePlatform } from "../platform/node/index.js";
import type { Channel, ChildProgram, Host } from "./command.js";
import { exitCodes } from "./exit-codes.js";
import { main } from "./main.js";

const { stdout, stderr, env } = process;

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string; // npm refuses a package without one
};

// A reader that has seen enough (`metalr inspect … | head`) closes the pipe: that is no error of ours.
for (const stream of [stdout, stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.error);
  });
}

const stop = new AbortController();
/** Set by commands that stop gently. */
let tell: (() => void) | null = null;
function interrupt(signal: NodeJS.Signals): void {
  if (tell === null || stop.signal.aborted) process.exit(signal === "SIGTERM" ? 143 : exitCodes.interrupted);
  tell();
  stop.abort();
}
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);

const host: Host = {
  platform: nodePlatform,
  out: (text) => stdout.write(text),
  err: (text) => stderr.write(text),
  terminal: stdout.isTTY && stderr.isTTY && env["TERM"] !== "dumb" ? stderr : null,
  columns: Math.min(stdout.columns ?? 100, 120),
  color: stdout.isTTY === true && env["NO_COLOR"] === undefined && env["TERM"] !== "dumb",
  env,
  whenInterrupted: (f) => {
    tell = f;
    return stop.signal;
  },
  now: () => new Date(),
  versions: { metalr: version, node: process.versions.node, platform: `${process.platform}-${process.arch}` },
  // Native code is loaded where it is needed: help and messages come at once.
  executor: async (choice) => (await import("../platform/node/executor.js")).openExecutor(choice),
  rasterize: async (svg) => (await import("../platform/node/raster.js")).svgToPng(svg),
  open: showFile,
  machine: () => ({
    cores: availableParallelism(),
    // Of the container where there is one; Node before 20.13 knows that of the machine only.
    freeBytes: process.availableMemory?.() ?? freemem(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
  start: startProgram,
  ...(process.send && { parent: parentProcess() }),
};

/** This program again, in a process that ends with this one. */
function startProgram(argv: readonly string[]): ChildProgram {
  const child = fork(process.argv[1] ?? "", argv, {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return {
    send: (message) => {
      if (child.connected) child.send(message as object, () => {}); // one that is gone is told by `closed`
    },
    listen({ message, closed }) {
      child.on("message", message);
      child.once("error", (error) => closed(error.message));
      child.once("exit", (code, signal) => closed(signal ?? `exit code ${code}`));
    },
    kill: () => child.kill("SIGKILL"),
  };
}

function parentProcess(): Channel {
  return {
    send: (message) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => {});
    },
    listen({ message, closed }) {
      process.on("message", message);
      process.once("disconnect", () => {
        closed("disconnected");
        process.exit(exitCodes.error); // native code may be in the middle of a step: nobody waits for it
      });
    },
  };
}

/** Opens a file with the desktop's program for it; false where there is none, or no display. */
async function showFile(path: string): Promise<boolean> {
  if (!stdout.isTTY || env["CI"] !== undefined || env["SSH_CONNECTION"] !== undefined) return false;
  const [program, ...args] =
    process.platform === "darwin"
      ? ["open", path]
      : process.platform === "win32"
        ? ["explorer.exe", path]
        : env["DISPLAY"] !== undefined || env["WAYLAND_DISPLAY"] !== undefined
          ? ["xdg-open", path]
          : [];
  if (program === undefined) return false;
  return new Promise((resolve) => {
    const child = spawn(program, args, { detached: true, stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("spawn", () => {
      child.unref();
      resolve(true);
    });
  });
}

const code = await main(process.argv.slice(2), host);
// What is written to a pipe may still be on its way.
await Promise.all([stdout, stderr].map((stream) => new Promise((done) => stream.write("", done))));
process.exit(code);
