/** @file ONNX Runtime for Node: the default executor. */

import { createRequire } from "node:module";
import * as ort from "onnxruntime-node";
import { compileBlocked } from "../../compile/blocked.js";
import { type OrtModule, onnxRuntimeExecutor } from "../../runtime/onnxRuntime.js";
import type { Executor } from "../../runtime/types.js";

const version = (createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string }).version; // a package.json has one

/** @param options threads of one operator (default: all cores), execution providers (default: CPU), profile file prefix */
export function nodeExecutor(
  options: { threads?: number; providers?: readonly string[]; profile?: string } = {},
): Executor {
  ort.env.logLevel = "fatal"; // read once, before the first session: what fails is thrown, and a missing library is not news
  // Our dtypes are ONNX Runtime's own names and their data arrays the ones it asks for; its constructor has one overload a dtype.
  const executor = onnxRuntimeExecutor(ort as unknown as OrtModule, {
    version: `onnxruntime-node ${version}`,
    ...options,
  });
  return { ...executor, blocked: compileBlocked };
}

/** Execution providers that this build has; some of them ask for libraries that are not part of it. */
export const providersOfBuild = (): readonly string[] => ort.listSupportedBackends().map(({ name }) => name);
