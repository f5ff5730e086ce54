/** @file What runs compiled graphs, free of any engine's own types: ONNX Runtime is one executor, others may follow. */
import type { DType, Shape, Tensor } from "../common/tensor.js";
import type { Compiled, LoweringName } from "../compile/types.js";
import type { Graph } from "../graph/value.js";

/** Where graphs are computed, as a person chooses it; `openExecutor` of the platform turns it into an executor. */
export const deviceNames = ["auto", "cpu", "webgpu", "cuda", "coreml", "dml"] as const;
export type DeviceName = (typeof deviceNames)[number];

/** What computes on the processor: ONNX Runtime, or the native module on oneDNN; "auto" takes the native one where it is built. */
export const executorNames = ["auto", "onnxruntime", "onednn"] as const;
export type ExecutorName = (typeof executorNames)[number];

/** Of images and their gradients between operators; parameters, slots, statistics and sums are float32 always. */
export const precisions = ["float32", "bfloat16"] as const;
export type Precision = (typeof precisions)[number];

export type Tensors = Readonly<Record<string, Tensor>>;

/** A tensor in the memory of an executor's device; its data are read by `Executor.memory`. */
export interface DeviceTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** The engine's own. */
  readonly handle: unknown;
  /** Gives the memory back. Nothing may use the tensor afterwards. */
  dispose(): void;
}

export type Feeds = Readonly<Record<string, Tensor | DeviceTensor>>;

/** Outputs of one run, by where they are. */
export interface Placed {
  readonly host: Tensors;
  /** Those of `LoadOptions.resident`. */
  readonly device: Readonly<Record<string, DeviceTensor>>;
}

/** A compiled graph that is ready to run. */
export interface Program {
  readonly compiled: Compiled;
  /**
   * One run. Not for programs with resident outputs: see `place`.
   * @param inputs every input of the graph, by name
   * @param into tensors that receive outputs in place, by name; the other outputs are new
   * @throws {RuntimeError} when the engine fails, or a tensor does not fit its port
   */
  run(inputs: Feeds, into?: Tensors): Promise<Tensors>;
  /** One run whose resident outputs stay on the device; all outputs are new. Present where the executor has `memory`. */
  place?(inputs: Feeds): Promise<Placed>;
  close(): Promise<void>;
}

export interface LoadOptions {
  /**
   * Runs seldom (the last, smaller batch of an epoch; an evaluation): its working memory goes back to the system after each run
   * instead of waiting for the next one. About a fifth slower. Default false.
   */
  readonly seldom?: boolean;
  /** Names of outputs that stay in the device's memory, for executors that have one (`memory`). Default none. */
  readonly resident?: readonly string[];
}

/** Between the host's memory and the device's. */
export interface DeviceMemory {
  read(tensors: ReadonlyMap<string, DeviceTensor>): Promise<ReadonlyMap<string, Tensor>>;
  write(tensors: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, DeviceTensor>>;
}

/** Graph → bytes for one executor. */
export interface Compiler {
  readonly lowering: LoweringName;
  compile(graph: Graph): Compiled;
}

export interface Executor {
  /** For run records: "onnxruntime-node 1.30.0, cpu". */
  readonly description: string;
  /** What computes: "webgpu", "cuda", …; absent or "cpu": the processor. */
  readonly device?: string;
  load(compiled: Compiled, options?: LoadOptions): Promise<Program>;
  /** The lowering that this executor alone runs. It brings it along, so that a page, which has no such executor, does not load it. */
  readonly compiler?: Compiler;
  /** The blocked lowering, where the engine may know its operators (`chooseCompiler` asks it); absent in a browser, as they are. */
  readonly blocked?: (graph: Graph, options: { readonly block: number }) => Compiled;
  /** The device's own memory; absent where tensors cannot stay there between runs. */
  readonly memory?: DeviceMemory;
}
