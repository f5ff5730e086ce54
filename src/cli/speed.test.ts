/** @file What computes, as the command line asks for it. */
import { expect, test } from "vitest";
import type { ExecutorChoice } from "../platform/node/executor.js";
import { providersOfBuild } from "../platform/node/onnxRuntime.js";
import { run } from "./host.testing.js";
import { executorOf } from "./speed.js";

test("only what was given is asked for", async () => {
  const asked: ExecutorChoice[] = [];
  const executor = async (choice: ExecutorChoice) => {
    asked.push(choice);
    throw new Error("none");
  };
  for (const given of [{}, { threads: 2 }, { device: "webgpu" as const }]) {
    await expect(executorOf({ executor }, given)).rejects.toThrow("none");
  }
  expect(asked).toEqual([{}, { threads: 2 }, { device: "webgpu" }]);
});

const absent = (["coreml", "dml"] as const).find((name) => !providersOfBuild().includes(name)) ?? "dml";

test("a device that is not there ends the command with a word, and one that nobody knows is a wrong command line", async () => {
  const golden = "fixtures/golden/resnet-w8";
  const { code, out, err } = await run(["replay", golden, "--device", absent]);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toContain(`device "${absent}": is not part of this build of ONNX Runtime\n`);
  expect(await run(["replay", golden, "--device", "abacus"])).toMatchObject({
    code: 2,
    err: expect.stringContaining("--device: must be one of auto, cpu, webgpu, cuda, coreml, dml, got abacus"),
  });
});
