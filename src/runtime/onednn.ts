/** @file The native executor: programs of oneDNN primitives and fused loops, with ONNX Runtime for what they do not know. */
import { InternalError, RuntimeError } from "../common/errors.js";
import { arrayTypes, bytesPerElement, formatShape, sameShape, sizeOf, type Tensor } from "../common/tensor.js";
import type { Precision, Region } from "../compile/onednn/program.js";
import { type CompiledNative, compileNative, isNative } from "../compile/onednn.js";
import type { Port } from "../compile/types.js";
import type { DeviceTensor, Executor, Program } from "./types.js";

type Bytes = Tensor["data"];

/** A loaded program of the native module. */
export interface NativeHandle {
  /** Runs instructions `from` up to `to` on the module's own thread; inputs and outputs by number. */
  run(inputs: readonly Bytes[], outputs: readonly Bytes[], from: number, to: number, timed: boolean): Promise<void>;
  /** Milliseconds of every instruction so far, of timed runs. */
  times(): readonly number[];
  close(): void;
  /** Memory that the program holds. */
  readonly bytes: number;
}

/** native/addon.cc. */
export interface NativeModule {
  /** Of oneDNN: "2.6.3". */
  readonly version: string;
  /** Channels in a block on this processor. */
  readonly block: number;
  /** Whether the processor multiplies bfloat16. */
  readonly bfloat16: boolean;
  /** Whether this oneDNN has the Winograd algorithm for this processor. */
  readonly winograd: boolean;
  load(
    words: Int32Array,
    constants: Uint8Array,
    arenaBytes: number,
    block: number,
    threads: number,
  ): Promise<NativeHandle>;
}

export interface NativeExecutor extends Executor {
  readonly native: NativeModule;
  readonly precision: Precision;
}
export const isNativeExecutor = (e: Executor): e is NativeExecutor => "native" in e;

export interface NativeOptions {
  /** Threads of one operator. */
  readonly threads: number;
  /** Of images between operators; default float32. */
  readonly precision?: Precision;
  /** Runs graphs in ONNX form: evaluation, and operators that the native module lacks. */
  readonly other: Executor;
}

/** ONNX graphs go to `other`; graphs compiled by `compileNative` run natively. */
export function nativeExecutor(module: NativeModule, options: NativeOptions): NativeExecutor {
  const { threads, other, precision = "float32" } = options;
  return {
    description: `oneDNN ${module.version}, ${threads} ${threads === 1 ? "thread" : "threads"}, ${precision} (with ${other.description})`,
    native: module,
    precision,
    compiler: {
      lowering: "onednn",
      compile: (graph) => compileNative(graph, { block: module.block, winograd: module.winograd, precision }),
    },
    ...(other.blocked && { blocked: other.blocked }),
    async load(compiled, options) {
      return isNative(compiled) ? loadNative(module, compiled, threads, other) : other.load(compiled, options);
    },
  };
}

/** A native program that also tells where its time goes. */
export interface TimedProgram extends Program {
  /** Milliseconds by instruction, summed over the runs since `time(true)`. */
  times(): readonly number[];
  time(on: boolean): void;
  readonly bytes: number;
}

async function loadNative(
  module: NativeModule,
  compiled: CompiledNative,
  threads: number,
  other: Executor,
): Promise<TimedProgram> {
  const { native } = compiled;
  const where = `graph "${compiled.name}"`;
  let handle: NativeHandle;
  try {
    handle = await module.load(native.words, native.constants, native.arenaBytes, native.block, threads);
  } catch (cause) {
    throw new RuntimeError(where, { problem: "oneDNN cannot load it", got: messageOf(cause), cause });
  }
  const foreign = new Map<number, Program>();
  for (const [i, stage] of native.stages.entries()) {
    if ("foreign" in stage) foreign.set(i, await other.load(stage.foreign.compiled));
  }
  const bridges = native.bridges.map((b) => fresh(b));
  let timed = false;
  return {
    compiled,
    async run(inputs, into = {}) {
      const ins = compiled.inputs.map((p) => check(where, p, hostTensor(where, p, inputs[p.name])).data);
      const results = compiled.outputs.map((p) => {
        const given = into[p.name];
        return given
          ? check(where, p, given)
          : ({ dtype: p.dtype, shape: p.shape, data: fresh({ dtype: p.dtype, size: sizeOf(p.shape) }) } as Tensor); // `fresh` makes the dtype's array
      });
      const outs = [...results.map((t) => t.data), ...bridges];
      const at = (b: Region): Bytes => (b.space === "input" ? ins : outs)[b.at]!; // encoded operands were checked
      try {
        let from = 0;
        for (const [i, stage] of native.stages.entries()) {
          if ("end" in stage) {
            if (stage.end > from) await handle.run(ins, outs, from, stage.end, timed);
            from = stage.end;
          } else await runForeign(foreign.get(i), stage.foreign, at);
        }
      } catch (cause) {
        if (cause instanceof RuntimeError) throw cause;
        throw new RuntimeError(where, { problem: "the run failed", got: messageOf(cause), cause });
      }
      return Object.fromEntries(compiled.outputs.map((p, i) => [p.name, results[i]!])); // one result an output
    },
    times: () => handle.times(),
    time(on) {
      timed = on;
    },
    get bytes() {
      return handle.bytes;
    },
    async close() {
      handle.close();
      for (const p of foreign.values()) await p.close();
    },
  };
}

async function runForeign(
  program: Program | undefined,
  f: Extract<CompiledNative["native"]["stages"][number], { foreign: unknown }>["foreign"],
  at: (b: Region) => Bytes,
): Promise<void> {
  if (!program) throw new InternalError("a foreign stage was not loaded");
  const tensors = (list: typeof f.inputs) =>
    Object.fromEntries(
      list.map(({ name, buffer, shape }) => [name, { dtype: buffer.dtype, shape, data: at(buffer) } as Tensor]), // what leaves a program has a tensor's dtype, which names its array
    );
  await program.run(tensors(f.inputs), tensors(f.outputs));
}

/** Native programs keep nothing on a device. */
function hostTensor(where: string, port: Port, t: Tensor | DeviceTensor | undefined): Tensor | undefined {
  if (t && !("data" in t)) throw new InternalError(`${where}, ${port.name}: a device's tensor came to the CPU`);
  return t;
}

/** A new array for a buffer that the caller sees. */
function fresh({ dtype, size }: { readonly dtype: Region["dtype"]; readonly size: number }): Bytes {
  if (dtype === "bfloat16") throw new InternalError("bfloat16 left a native program");
  return new arrayTypes[dtype](size);
}

function check(where: string, port: Port, t: Tensor | undefined): Tensor {
  if (t && t.dtype === port.dtype && sameShape(t.shape, port.shape) && t.data.length === sizeOf(port.shape)) {
    if (t.data.BYTES_PER_ELEMENT === bytesPerElement(port.dtype)) return t;
  }
  throw new RuntimeError(`${where}, ${port.name}`, {
    problem: t ? "tensor does not fit" : "tensor is missing",
    expected: `${port.dtype}${formatShape(port.shape)}`,
    ...(t && { got: `${t.dtype}${formatShape(t.shape)} of ${t.data.length} elements` }),
  });
}

const messageOf = (e: unknown) => (e instanceof Error ? e.message : String(e)).split("\n")[0] ?? "";
