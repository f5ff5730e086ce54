/** @file The executor on ONNX Runtime; the same API in Node and in the browser, so the module comes from the platform. */
import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from "onnxruntime-common";
import { RuntimeError } from "../common/errors.js";
import { type DType, formatShape, sameShape, type Tensor } from "../common/tensor.js";
import type { Compiled, Port } from "../compile/types.js";
import type { Executor, Program } from "./types.js";

/** The parts of onnxruntime-node or onnxruntime-web that we use. */
export interface OrtModule {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: DType, data: Tensor["data"], dims: readonly number[]) => OrtTensor;
}

export interface OrtOptions {
  /** "onnxruntime-node 1.30.0". */
  readonly version: string;
  /** Execution providers in order of preference; default ["cpu"]. */
  readonly providers?: readonly string[];
  /** Threads of one operator; default: the runtime's choice. */
  readonly threads?: number;
  /** File to write a profile to (Node only). */
  readonly profile?: string;
}

export function onnxRuntimeExecutor(ort: OrtModule, options: OrtOptions): Executor {
  const providers = options.providers ?? ["cpu"];
  const toOrt = (t: Tensor): OrtTensor => new ort.Tensor(t.dtype, t.data, t.shape);
  return {
    description: `${options.version}, ${providers.join("+")}`,
    async load(compiled, { seldom = false } = {}) {
      let session: InferenceSession;
      try {
        session = await ort.InferenceSession.create(compiled.bytes, {
          executionProviders: [...providers],
          graphOptimizationLevel: "all",
          executionMode: "sequential",
          // Memory patterns plan one allocation for a whole step; every shape is known.
          enableMemPattern: true,
          enableCpuMemArena: !seldom,
          logSeverityLevel: 4, // what fails is thrown, with its message
          ...(options.threads !== undefined && { intraOpNumThreads: options.threads }),
          ...(options.profile !== undefined && { enableProfiling: true, profileFilePrefix: options.profile }),
        });
      } catch (cause) {
        throw new RuntimeError(`graph "${compiled.name}"`, {
          problem: "ONNX Runtime cannot load it",
          got: messageOf(cause),
          cause,
        });
      }
      return program(compiled, session, toOrt);
    },
  };
}

const messageOf = (e: unknown) => (e instanceof Error ? e.message : String(e)).split("\n")[0] ?? "";

function program(compiled: Compiled, session: InferenceSession, toOrt: (t: Tensor) => OrtTensor): Program {
  const ports = new Map(compiled.outputs.map((p) => [p.name, p]));
  const check = (port: Port, t: Tensor | undefined): Tensor => {
    if (t && t.dtype === port.dtype && sameShape(t.shape, port.shape)) return t;
    throw new RuntimeError(`graph "${compiled.name}", ${port.name}`, {
      problem: t ? "tensor does not fit" : "tensor is missing",
      expected: `${port.dtype}${formatShape(port.shape)}`,
      ...(t && { got: `${t.dtype}${formatShape(t.shape)}` }),
    });
  };
  return {
    compiled,
    async run(inputs, into = {}) {
      const feeds: Record<string, OrtTensor> = {};
      for (const port of compiled.inputs) feeds[port.name] = toOrt(check(port, inputs[port.name]));
      const fetches: Record<string, OrtTensor | null> = {};
      for (const port of compiled.outputs) {
        const target = into[port.name];
        fetches[port.name] = target ? toOrt(check(port, target)) : null;
      }
      let results: InferenceSession.OnnxValueMapType;
      try {
        results = await session.run(feeds, fetches);
      } catch (cause) {
        throw new RuntimeError(`graph "${compiled.name}"`, { problem: "the run failed", got: messageOf(cause), cause });
      }
      const outputs: Record<string, Tensor> = {};
      for (const [name, port] of ports) {
        const target = into[name];
        outputs[name] = target ?? fromOrt(port, results[name]);
      }
      return outputs;
    },
    close: () => session.release(),
  };
}

function fromOrt(port: Port, value: InferenceSession.OnnxValueMapType[string] | undefined): Tensor {
  if (!value || !("data" in value)) throw new RuntimeError(port.name, { problem: "the runtime gave no tensor" });
  // The graph declares the dtype of every output, and ONNX Runtime checks it.
  return { dtype: port.dtype, shape: port.shape, data: (value as TypedTensor<"float32">).data } as Tensor;
}
