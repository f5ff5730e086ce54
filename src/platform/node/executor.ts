/** @file Opens what runs the graphs on this machine: a device by its name, tried with a tiny program before it is used. */
import { availableParallelism } from "node:os";
import { RuntimeError } from "../../common/errors.js";
import { float32 } from "../../common/tensor.js";
import { compilePortable } from "../../compile/compile.js";
import { input, makeGraph, scalar } from "../../graph/build.js";
import { add, conv, mul } from "../../ops/index.js";
import { nativeExecutor } from "../../runtime/onednn.js";
import { type DeviceName, deviceNames, type Executor, type ExecutorName, type Precision } from "../../runtime/types.js";
import { type Found, findNative } from "./onednn.js";
import { nodeExecutor, providersOfBuild } from "./onnxRuntime.js";

export interface ExecutorChoice {
  /** Default "auto". */
  readonly device?: DeviceName;
  /** On the processor; default "auto": the native module where it is built, else ONNX Runtime. */
  readonly executor?: ExecutorName;
  /** Of images between operators; default float32. The native module knows bfloat16, where the processor does. */
  readonly precision?: Precision;
  /** Threads of one operator on the processor; default: all cores. */
  readonly threads?: number;
}

type Accelerator = Exclude<DeviceName, "auto" | "cpu">;

/** What a device asks for. */
const needs: Readonly<Record<Accelerator, string>> = {
  webgpu: "needs a graphics driver with Vulkan, Metal or Direct3D 12; try the driver's own test program first",
  cuda:
    "needs Linux on x64, an NVIDIA driver, CUDA 12 with cuDNN 9, and ONNX Runtime's CUDA libraries " +
    "(node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 fetches them; with CUDA 13 those of " +
    "PyPI's onnxruntime-gpu of the same version work, put beside libonnxruntime.so.1)",
  coreml: "needs macOS",
  dml: "needs Windows",
};

/**
 * The executor of a device.
 * @throws {RuntimeError} a device that is not there or computes wrongly, with what it needs
 */
export async function openExecutor(choice: ExecutorChoice = {}): Promise<Executor> {
  const { device = "auto", executor: engine = "auto", precision = "float32", threads } = choice;
  const options = threads === undefined ? {} : { threads };
  // "auto" is the processor: its bits repeat, and a device that is only there may be far slower (a software WebGPU adapter takes 900 times as
  // long for ResNet-18). Whoever has a graphics card names it.
  if (device === "auto" || device === "cpu") return processorExecutor(engine, threads, precision);
  if (engine === "onednn" || precision === "bfloat16") {
    throw new RuntimeError(`device "${device}"`, {
      problem: `${engine === "onednn" ? "--executor onednn" : "--precision bfloat16"} is for the processor only`,
      hint: "leave it away, or use --device cpu",
    });
  }
  if (!providersOfBuild().includes(device)) {
    throw missing(device, { problem: "is not part of this build of ONNX Runtime" });
  }
  // ONNX Runtime lets CUDA multiply in TF32, 10 bits of mantissa, and its JavaScript API has no word against it. Hypergradients are
  // small differences of large numbers: they then come out with errors of their own size (H200). In float32 a step takes as long.
  // cuBLAS and cuDNN read this when they are loaded, which is with the first session.
  if (device === "cuda") process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
  const executor = nodeExecutor({ ...options, providers: [device] });
  try {
    await probe(executor);
  } catch (cause) {
    const said = cause instanceof RuntimeError ? (cause.got ?? cause.problem) : String(cause);
    throw missing(device, { problem: "does not work here", got: reasonOf(said), cause });
  }
  return executor;
}

/** What computes on the processor. @throws {RuntimeError} the native module is asked for and not there */
export function processorExecutor(
  engine: ExecutorName = "auto",
  threads?: number,
  precision: Precision = "float32",
): Executor {
  const other = nodeExecutor(threads === undefined ? {} : { threads });
  if (engine === "onnxruntime" && precision === "float32") return other;
  const found: Found =
    engine === "onnxruntime" ? { missing: "--executor onnxruntime asks for the other one" } : findNative();
  if ("module" in found) {
    const { module } = found;
    if (precision === "bfloat16" && !module.bfloat16) {
      throw new RuntimeError('precision "bfloat16"', {
        problem: "this processor does not multiply it",
        expected: "AVX-512 with BF16, or AMX",
        hint: "use --precision float32",
      });
    }
    return nativeExecutor(module, { threads: threads ?? availableParallelism(), precision, other });
  }
  if (engine === "auto" && precision === "float32") return other;
  throw new RuntimeError(precision === "bfloat16" ? 'precision "bfloat16"' : 'executor "onednn"', {
    problem: "needs the native module, which is not there",
    got: found.missing,
    hint: "npm run build-native makes it and says what it needs; --executor onnxruntime works everywhere",
  });
}

/** x·x + 1 and a convolution of a few numbers: convolutions need more libraries. @throws {RuntimeError} it fails, or gives something else */
async function probe(executor: Executor): Promise<void> {
  const x = input("x", "float32", [4]);
  const image = input("image", "float32", [1, 1, 2, 2]);
  const kernel = input("kernel", "float32", [1, 1, 2, 2]);
  const graph = makeGraph("probe", { x, image, kernel }, { y: add(mul(x, x), scalar(1)), sum: conv(image, kernel) });
  const program = await executor.load(compilePortable(graph));
  try {
    const { y, sum } = await program.run({
      x: float32([4], [1, -2, 3, 0.5]),
      image: float32([1, 1, 2, 2], [1, 2, 3, 4]),
      kernel: float32([1, 1, 2, 2], [1, 10, 100, 1000]),
    });
    const got = [y, sum].flatMap((t) => Array.from(t?.data as ArrayLike<number>)); // float32, as the graph says
    if (got.join() !== "2,5,10,1.25,4321") {
      throw new RuntimeError(executor.description, {
        problem: "computes wrongly",
        got: `x·x + 1 and a convolution as ${got.join(", ")}`,
      });
    }
  } finally {
    await program.close();
  }
}

/** Without the place in ONNX Runtime's own source files, which come first in its messages. */
const reasonOf = (message: string): string => message.replace(/^.*? was false\. /, "").replace(/^Error: /, "");

const known = (): readonly string[] => deviceNames.filter((name) => providersOfBuild().includes(name));

const missing = (device: Accelerator, facts: { problem: string; got?: string; cause?: unknown }): RuntimeError =>
  new RuntimeError(`device "${device}"`, {
    ...facts,
    expected: `one of ${known().join(", ")}, which this build knows, with its driver and libraries`,
    hint: `${device} ${needs[device]}; --device cpu works everywhere`,
  });
