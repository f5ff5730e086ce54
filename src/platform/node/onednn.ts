/** @file Finds and loads the native module, which `npm run build-native` makes; without it there is no native executor, and no error. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { NativeModule } from "../../runtime/onednn.js";

const folder = dirname(fileURLToPath(import.meta.url));

/** Where the module may lie: beside the sources, and beside the built package. */
const candidates = (): readonly string[] => {
  const given = process.env["METALR_NATIVE"];
  if (given !== undefined) return given === "" ? [] : [given]; // empty: as if it were not there
  return [join(folder, "../../../native/build/metalr.node")];
};

const shape = z.object({
  version: z.string(),
  block: z.union([z.literal(8), z.literal(16)]),
  bfloat16: z.boolean(),
  winograd: z.boolean(),
  load: z.function(),
});

export type Found = { readonly module: NativeModule } | { readonly missing: string };

let found: Found | undefined;

/** The native module, or why there is none. */
export function findNative(): Found {
  found ??= load();
  return found;
}

/**
 * OpenMP's threads wait for each other in a loop, by default for so long that a busy machine makes a step take twenty times as long:
 * the thread that is waited for does not get the core. A short wait costs an idle machine nothing measurable.
 */
function waitShortly(): void {
  if (process.env["OMP_WAIT_POLICY"] === undefined) process.env["GOMP_SPINCOUNT"] ??= "20000";
}

function load(): Found {
  const require = createRequire(import.meta.url);
  waitShortly();
  let why = "it is not built (npm run build-native)";
  for (const path of candidates()) {
    try {
      const module: unknown = require(path);
      if (shape.safeParse(module).success) return { module: module as NativeModule }; // its shape was checked
      why = `${path} is of another version (npm run build-native builds it anew)`;
    } catch (e) {
      const text = e instanceof Error ? (e.message.split("\n")[0] ?? "") : String(e);
      if (!text.startsWith("Cannot find module")) why = `it does not load: ${text}`;
    }
  }
  return { missing: why };
}
