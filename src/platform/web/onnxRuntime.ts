/** @file ONNX Runtime for browsers: WebAssembly with threads where the page is isolated, or WebGPU where it is asked for. */
import { InternalError, RuntimeError } from "../../common/errors.js";
import type { Tensor } from "../../common/tensor.js";
import { type OrtModule, onnxRuntimeExecutor } from "../../runtime/onnxRuntime.js";
import type { Executor } from "../../runtime/types.js";
import { hasWebGpu } from "./web-gpu.js";

/** Addresses of one build of ONNX Runtime: its WebAssembly, and the module that starts it (also in its threads). */
export interface RuntimeFiles {
  readonly mjs: string;
  readonly wasm: string;
}

export interface WebExecutorOptions {
  /**
   * ort-wasm-simd-threaded.{mjs,wasm} of onnxruntime-web (…-threaded.asyncify.* for "webgpu"), served from the page's own origin.
   * Default: where the bundler or the browser finds them by itself.
   */
  readonly files?: RuntimeFiles;
  /** Default "wasm". "webgpu" runs what it can on the graphics card and the rest in WebAssembly. */
  readonly provider?: "wasm" | "webgpu";
  /** Threads of one operator; 1 without isolation (COOP and COEP headers); default: as many as there are processors, at most 8. */
  readonly threads?: number;
}

const most = 8;

/**
 * An executor for this page or worker; steps block the thread that calls, so a worker is the place for it. ONNX Runtime is set up
 * once a context: the files and the threads of the first call count.
 * @throws {RuntimeError} WebGPU is asked for where there is none
 */
export async function webExecutor(options: WebExecutorOptions = {}): Promise<Executor> {
  const { provider = "wasm", files } = options;
  if (provider === "webgpu" && !(await hasWebGpu())) {
    throw new RuntimeError("WebGPU", {
      problem: "is not available in this browser",
      hint: "WebAssembly computes the same: leave the choice of WebGPU out",
    });
  }
  const ort = await (provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"));
  const { wasm, versions } = ort.env;
  const isolated = globalThis.crossOriginIsolated === true;
  const threads = isolated ? (options.threads ?? Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, most)) : 1;
  wasm.numThreads = threads;
  wasm.proxy = false;
  if (files !== undefined) wasm.wasmPaths = { mjs: files.mjs, wasm: files.wasm };
  ort.env.logLevel = "fatal"; // what fails is thrown, with its message
  // Our dtypes are ONNX Runtime's own names and their data arrays the ones it asks for; its constructor has one overload a dtype.
  const executor = onnxRuntimeExecutor(ort as unknown as OrtModule, {
    version: `onnxruntime-web ${versions.web ?? versions.common}, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    providers: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
  });
  return givingWay(executor);
}

/**
 * onnxruntime-web does not write into tensors that are given for its outputs, so results are copied there. And after every run the
 * thread's other work has its turn: a worker that only computes would never hear "stop", since WebAssembly runs come back without
 * leaving the event that they began in.
 */
const givingWay = (executor: Executor): Executor => ({
  ...executor,
  async load(compiled, options) {
    const program = await executor.load(compiled, options);
    return {
      ...program,
      async run(inputs, into = {}) {
        const outputs = await program.run(inputs);
        await nextTask();
        return Object.fromEntries(
          Object.entries(outputs).map(([name, t]) => {
            const target = into[name];
            return [name, target === undefined ? t : copied(t, target, name)];
          }),
        );
      },
    };
  },
});

function copied(from: Tensor, into: Tensor, name: string): Tensor {
  if (from.dtype !== into.dtype || from.data.length !== into.data.length) {
    throw new InternalError(`the tensor given for "${name}" is of its port`);
  }
  // The same dtype on both sides, which the type of `set` cannot say.
  (into.data as Float32Array).set(from.data as Float32Array);
  return into;
}

let channel: MessageChannel | null = null;
const waiting: (() => void)[] = [];

/** Resolves in a later task of the event loop, without a timer's delay. */
function nextTask(): Promise<void> {
  if (channel === null) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  channel.port2.postMessage(null);
  return new Promise((resolve) => waiting.push(resolve));
}
