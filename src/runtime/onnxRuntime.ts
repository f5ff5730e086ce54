/** @file The executor on ONNX Runtime; the same API in Node and in the browser, so the module comes from the platform. */
import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from "onnxruntime-common";
import { RuntimeError } from "../common/errors.js";
import { type DType, formatShape, sameShape, type Tensor } from "../common/tensor.js";
import { Emitter } from "../compile/emitter.js";
import type { Compiled, Port } from "../compile/types.js";
import type { DeviceMemory, DeviceTensor, Executor, Feeds, LoadOptions, Program } from "./types.js";

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

/** Providers on the processor. */
const processors = new Set(["cpu", "wasm"]);

export function onnxRuntimeExecutor(ort: OrtModule, options: OrtOptions): Executor {
  const providers = options.providers ?? ["cpu"];
  const [first = "cpu"] = providers;
  const toOrt = (t: Tensor): OrtTensor => new ort.Tensor(t.dtype, t.data, t.shape);
  const load = async (compiled: Compiled, { seldom = false, resident = [] }: LoadOptions = {}): Promise<Program> => {
    let session: InferenceSession;
    try {
      session = await ort.InferenceSession.create(compiled.bytes, {
        executionProviders: providers.map((name) =>
          name === "webgpu" && compiled.processorNodes ? { name, forceCpuNodeNames: compiled.processorNodes } : name,
        ),
        // The blocked lowering has done what the higher levels would: they make the step no faster and its session half as long again to
        // start (ResNet-18 64×64, batch 128: 1.28 s of processor time for all, 0.85 s for basic).
        graphOptimizationLevel: compiled.lowering === "blocked" ? "basic" : "all",
        executionMode: "sequential",
        // A pattern is one allocation for a whole step, made after the first run and beside what that run took: the arena keeps both
        // (ResNet-18 64×64, batch 128: 2240 MB with patterns, 1480 MB without, in the same time).
        enableMemPattern: false,
        enableCpuMemArena: !seldom,
        logSeverityLevel: 4, // what fails is thrown, with its message
        ...(resident.length > 0 && {
          preferredOutputLocation: Object.fromEntries(
            compiled.outputs.map(({ name }) => [name, resident.includes(name) ? "gpu-buffer" : "cpu"] as const),
          ),
        }),
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
    return program(compiled, session, toOrt, new Set(resident));
  };
  return {
    description: `${options.version}, ${providers.join("+")}`,
    ...(!processors.has(first) && { device: first }),
    load,
    // WebGPU's buffers are the only ones that ONNX Runtime's JavaScript API hands out.
    ...(first === "webgpu" && { memory: memoryOf(load) }),
  };
}

const messageOf = (e: unknown) => (e instanceof Error ? e.message : String(e)).split("\n")[0] ?? "";

function program(
  compiled: Compiled,
  session: InferenceSession,
  toOrt: (t: Tensor) => OrtTensor,
  resident: ReadonlySet<string>,
): Program {
  const check = <T extends Tensor | DeviceTensor>(port: Port, t: T | undefined): T => {
    if (t && t.dtype === port.dtype && sameShape(t.shape, port.shape)) return t;
    throw new RuntimeError(`graph "${compiled.name}", ${port.name}`, {
      problem: t ? "tensor does not fit" : "tensor is missing",
      expected: `${port.dtype}${formatShape(port.shape)}`,
      ...(t && { got: `${t.dtype}${formatShape(t.shape)}` }),
    });
  };
  const run = async (inputs: Feeds, fetches: Record<string, OrtTensor | null>) => {
    const feeds: Record<string, OrtTensor> = {};
    for (const port of compiled.inputs) {
      const t = check(port, inputs[port.name]);
      feeds[port.name] = "handle" in t ? (t.handle as OrtTensor) : toOrt(t); // `place` below makes the handles
    }
    try {
      return await session.run(feeds, fetches);
    } catch (cause) {
      throw new RuntimeError(`graph "${compiled.name}"`, { problem: "the run failed", got: messageOf(cause), cause });
    }
  };
  return {
    compiled,
    async run(inputs, into = {}) {
      const fetches: Record<string, OrtTensor | null> = {};
      for (const port of compiled.outputs) {
        const target = into[port.name];
        fetches[port.name] = target ? toOrt(check(port, target)) : null;
      }
      const results = await run(inputs, fetches);
      const outputs: Record<string, Tensor> = {};
      for (const port of compiled.outputs) {
        outputs[port.name] = into[port.name] ?? fromOrt(port, results[port.name]);
      }
      return outputs;
    },
    async place(inputs) {
      const results = await run(inputs, Object.fromEntries(compiled.outputs.map(({ name }) => [name, null])));
      const [host, device]: [Record<string, Tensor>, Record<string, DeviceTensor>] = [{}, {}];
      for (const port of compiled.outputs) {
        if (resident.has(port.name)) device[port.name] = onDevice(port, results[port.name]);
        else host[port.name] = fromOrt(port, results[port.name]);
      }
      return { host, device };
    },
    close: () => session.release(),
  };
}

type OrtValue = InferenceSession.OnnxValueMapType[string] | undefined;

function fromOrt(port: Port, value: OrtValue): Tensor {
  if (!value || !("data" in value)) throw new RuntimeError(port.name, { problem: "the runtime gave no tensor" });
  // The graph declares the dtype of every output, and ONNX Runtime checks it.
  return { dtype: port.dtype, shape: port.shape, data: (value as TypedTensor<"float32">).data } as Tensor;
}

function onDevice({ name, dtype, shape }: Port, value: OrtValue): DeviceTensor {
  if (!value || !("dispose" in value)) throw new RuntimeError(name, { problem: "the runtime gave no tensor" });
  return { dtype, shape, handle: value, dispose: () => value.dispose() };
}

/**
 * Moves tensors by programs of one Identity each: onnxruntime-node 1.30 has no other way to make a tensor on the device, and its
 * `getData` ends the whole process on one.
 */
function memoryOf(load: Executor["load"]): DeviceMemory {
  const programs = new Map<string, Promise<Program>>();
  const mover = (tensors: ReadonlyMap<string, Tensor | DeviceTensor>, to: "host" | "device"): Promise<Program> => {
    const ports = [...tensors].map(([name, { dtype, shape }]): Port => ({ name: `in/${name}`, dtype, shape }));
    const key = JSON.stringify([to, ports]);
    let found = programs.get(key);
    if (!found) {
      const outputs = ports.map((p) => ({ ...p, name: p.name.replace("in/", "out/"), from: p.name }));
      const compiled = new Emitter().finish("move", "portable", ports, outputs);
      found = load(compiled, to === "device" ? { resident: outputs.map((o) => o.name) } : {});
      programs.set(key, found);
    }
    return found;
  };
  const fed = (tensors: ReadonlyMap<string, Tensor | DeviceTensor>): Feeds =>
    Object.fromEntries([...tensors].map(([name, t]) => [`in/${name}`, t]));
  const named = <T>(names: Iterable<string>, moved: Readonly<Record<string, T>>): ReadonlyMap<string, T> =>
    new Map([...names].map((name) => [name, moved[`out/${name}`]!])); // as many outputs as inputs
  return {
    async read(tensors) {
      if (tensors.size === 0) return new Map();
      return named(tensors.keys(), await (await mover(tensors, "host")).run(fed(tensors)));
    },
    async write(tensors) {
      if (tensors.size === 0) return new Map();
      const moved = await (await mover(tensors, "device")).place?.(fed(tensors));
      return named(tensors.keys(), moved?.device ?? {});
    },
  };
}
