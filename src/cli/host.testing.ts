/** @file A host for tests: output in strings, files of the machine, one thread. */
import { nodePlatform } from "../platform/node/index.js";
import type { Host } from "./command.js";
import { main } from "./main.js";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. @param changes parts of the host that a test replaces */
export async function run(
  argv: readonly string[],
  changes: Partial<Host> & { readonly onOutput?: (text: string) => void } = {},
): Promise<Outcome> {
  let out = "";
  let err = "";
  const host: Host = {
    platform: nodePlatform,
    out: (text) => {
      out += text;
      changes.onOutput?.(text);
    },
    err: (text) => {
      err += text;
    },
    terminal: null,
    columns: 100,
    color: false,
    env: {},
    whenInterrupted: () => new AbortController().signal,
    now: () => new Date("2026-03-01T09:30:00Z"),
    versions: { metalr: "1.2.3" },
    executor: async () => (await import("../platform/node/onnxRuntime.js")).nodeExecutor({ threads: 1 }),
    rasterize: async (svg) => (await import("../platform/node/raster.js")).svgToPng(svg),
    open: async () => false,
    ...changes,
  };
  const code = await main(argv, host);
  return { code, out, err };
}
