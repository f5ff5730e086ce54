/** @file Chooses the lowering for an executor: native programs for the native one, blocked where `nchwc` operators exist, portable elsewhere. */

import { NCHWC } from "../compile/blocked/layout.js";
import { compilePortable } from "../compile/compile.js";
import { Emitter } from "../compile/emitter.js";
import type { LoweringName } from "../compile/types.js";
import type { Compiler, Executor } from "./types.js";

export const portableCompiler: Compiler = { lowering: "portable", compile: (graph) => compilePortable(graph) };
const webgpuCompiler: Compiler = { ...portableCompiler, compile: (graph) => compilePortable(graph, { webgpu: true }) };

/** Plain ONNX operators, in the form that the executor's device computes rightly. */
export const portableFor = ({ device }: Executor): Compiler =>
  device === "webgpu" ? webgpuCompiler : portableCompiler;

const chosen = new WeakMap<Executor, Promise<Compiler>>();

/**
 * The fastest lowering that the executor can run; probed once for each executor.
 * @param wanted "auto" probes; a name is taken as it is
 */
export function chooseCompiler(executor: Executor, wanted: LoweringName | "auto" = "auto"): Promise<Compiler> {
  // The blocked operators are the processor's: on a device every one of them would fetch its tensors from there.
  const elsewhere = (executor.device ?? "cpu") !== "cpu";
  if (wanted === "portable" || (wanted === "auto" && elsewhere)) return Promise.resolve(portableFor(executor));
  if (executor.compiler && wanted !== "blocked") return Promise.resolve(executor.compiler);
  const { blocked } = executor;
  if (!blocked) return Promise.resolve(portableCompiler);
  let found = chosen.get(executor);
  if (!found) {
    found = probeBlock(executor).then((block) =>
      block === null ? portableCompiler : { lowering: "blocked", compile: (graph) => blocked(graph, { block }) },
    );
    chosen.set(executor, found);
  }
  return found;
}

/** Channels in a block of the `nchwc` operators: how far four channels are padded. Null where there are none. */
export async function probeBlock(executor: Executor): Promise<number | null> {
  const e = new Emitter();
  const blocked = e.emit("ReorderInput", ["x"], {}, NCHWC);
  const shape = [1, 4, 1, 1]; // the fewest channels that ReorderInput takes
  const compiled = e.finish(
    "probe",
    "blocked",
    [{ name: "x", dtype: "float32", shape }],
    [{ name: "y", dtype: "float32", shape, from: blocked }],
  );
  try {
    const program = await executor.load(compiled);
    const { y } = await program.run({ x: { dtype: "float32", shape, data: new Float32Array(4) } });
    await program.close();
    const block = y?.data.length;
    return block === 8 || block === 16 ? block : null;
  } catch {
    return null; // the runtime does not know the operators: not a fault, another lowering runs
  }
}
