/** @file What runs compiled graphs, free of any engine's own types: ONNX Runtime is one executor, others may follow. */
import type { Tensor } from "../common/tensor.js";
import type { Compiled } from "../compile/types.js";

export type Tensors = Readonly<Record<string, Tensor>>;

/** A compiled graph that is ready to run. */
export interface Program {
  readonly compiled: Compiled;
  /**
   * One run.
   * @param inputs every input of the graph, by name
   * @param into tensors that receive outputs in place, by name; the other outputs are new
   * @throws {RuntimeError} when the engine fails, or a tensor does not fit its port
   */
  run(inputs: Tensors, into?: Tensors): Promise<Tensors>;
  close(): Promise<void>;
}

export interface LoadOptions {
  /**
   * Runs seldom (the last, smaller batch of an epoch; an evaluation): its working memory goes back to the system after each run
   * instead of waiting for the next one. About a fifth slower. Default false.
   */
  readonly seldom?: boolean;
}

export interface Executor {
  /** For run records: "onnxruntime-node 1.30.0, cpu". */
  readonly description: string;
  load(compiled: Compiled, options?: LoadOptions): Promise<Program>;
}
