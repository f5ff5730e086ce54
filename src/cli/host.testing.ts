/** @file A host for tests: output in strings, files of the machine, one thread. */
import { nodePlatform } from "../platform/node/index.js";
import type { Context, Host } from "./command.js";
import { contextOf, main } from "./main.js";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

type Changes = Partial<Host> & { readonly onOutput?: (text: string) => void };

/** A host whose output is collected. @param changes parts of it that a test replaces */
function collectingHost(changes: Changes): { readonly host: Host; readonly output: { out: string; err: string } } {
  const output = { out: "", err: "" };
  const host: Host = {
    platform: nodePlatform,
    out: (text) => {
      output.out += text;
      changes.onOutput?.(text);
    },
    err: (text) => {
      output.err += text;
    },
    terminal: null,
    columns: 100,
    color: false,
    env: {},
    whenInterrupted: () => new AbortController().signal,
    now: () => new Date("2026-03-01T09:30:00Z"),
    versions: { metalr: "1.2.3" },
    // One thread, and ONNX Runtime unless a test asks for another: the same on every machine.
    executor: async ({ device, executor = "onnxruntime", precision }) =>
      (await import("../platform/node/executor.js")).openExecutor({
        threads: 1,
        executor,
        ...(device && { device }),
        ...(precision && { precision }),
      }),
    rasterize: async (svg) => (await import("../platform/node/raster.js")).svgToPng(svg),
    open: async () => false,
    ...changes,
  };
  return { host, output };
}

/** What a command works with, for tests of parts of commands. */
export function testContext(changes: Changes = {}): {
  readonly context: Context;
  readonly output: Omit<Outcome, "code">;
} {
  const { host, output } = collectingHost(changes);
  return { context: contextOf(host, []), output };
}

/** Runs a command line in this process. */
export async function run(argv: readonly string[], changes: Changes = {}): Promise<Outcome> {
  const { host, output } = collectingHost(changes);
  const code = await main(argv, host);
  return { code, ...output };
}
