/** @file The executor of a device: the processor always, others with a word about what is missing. */
import { expect, test } from "vitest";
import { chooseCompiler } from "../../runtime/lowering.js";
import type { DeviceName, Executor } from "../../runtime/types.js";
import { openExecutor } from "./executor.js";
import { findNative } from "./onednn.js";
import { nodeExecutor, providersOfBuild } from "./onnxRuntime.js";

const refusal = async (device: DeviceName): Promise<string> => {
  try {
    await openExecutor({ device, threads: 1 });
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const native = findNative();

test("auto is the processor: the native module where it is built, else ONNX Runtime", async () => {
  const { description, device } = await openExecutor({ threads: 1 });
  const other = nodeExecutor({ threads: 1 }).description;
  const expected = "module" in native ? `oneDNN ${native.module.version}, 1 thread, float32 (with ${other})` : other;
  expect([description, device]).toEqual([expected, undefined]);
  expect((await openExecutor({ threads: 1, executor: "onnxruntime" })).description).toBe(other);
});

test.skipIf("module" in native)("a native module that is not built is refused with the way to make it", async () => {
  await expect(openExecutor({ executor: "onednn" })).rejects.toThrow(
    [
      'executor "onednn": needs the native module, which is not there',
      "  got      it is not built (npm run build-native)",
      "  hint     npm run build-native makes it and says what it needs; --executor onnxruntime works everywhere",
    ].join("\n"),
  );
});

test("the native module and another device exclude each other", async () => {
  await expect(openExecutor({ device: "webgpu", executor: "onednn" })).rejects.toThrow(
    'device "webgpu": --executor onednn is for the processor only',
  );
});

const absent = (["coreml", "dml"] as const).find((name) => !providersOfBuild().includes(name)) ?? "dml";

test("a device that is not part of the build is refused with those that are, and what it needs", async () => {
  const known = ["cpu", "webgpu", "cuda", "coreml", "dml"].filter((name) => providersOfBuild().includes(name));
  expect(await refusal(absent)).toBe(
    [
      `device "${absent}": is not part of this build of ONNX Runtime`,
      `  expected one of ${known.join(", ")}, which this build knows, with its driver and libraries`,
      `  hint     ${absent} needs ${absent === "dml" ? "Windows" : "macOS"}; --device cpu works everywhere`,
    ].join("\n"),
  );
});

test.skipIf(!providersOfBuild().includes("cuda"))("a device whose libraries are missing says so", async () => {
  const message = await refusal("cuda");
  if (message === "") return; // a machine that has CUDA
  expect(message.split("\n")[0]).toBe('device "cuda": does not work here');
  expect(message).toMatch(/\n {2}got {6}\S.*\n {2}hint {5}cuda needs Linux on x64, an NVIDIA driver/);
});

test("a device never gets the processor's blocked operators", async () => {
  const cpu = nodeExecutor({ threads: 1 });
  const elsewhere: Executor = { ...cpu, device: "webgpu" };
  expect((await chooseCompiler(elsewhere)).lowering).toBe("portable");
});
