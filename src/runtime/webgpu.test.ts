/** @file MetaLR on WebGPU agrees with the processor; on Chromium's software adapter where it is installed, else on the machine's own. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, type TestContext, test } from "vitest";

/** The software adapter of Chromium (Debian); Vulkan's loader reads its place from the environment when the process starts. */
const software = "/usr/lib/chromium/vk_swiftshader_icd.json";

type Rows = Readonly<Record<string, readonly number[]>>;
type Both = Readonly<Record<"cpu" | "webgpu", { readonly description: string; readonly rows: Rows }>>;

async function child(context: TestContext, ...args: readonly string[]): Promise<Both> {
  const program = fileURLToPath(new URL("./webgpu.child.testing.ts", import.meta.url));
  const env = existsSync(software) ? { ...process.env, VK_ICD_FILENAMES: software } : process.env;
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program, ...args], { env });
    return JSON.parse(stdout) as Both; // what the child writes
  } catch (error) {
    const words = error instanceof Error && "stderr" in error ? String(error.stderr) : "";
    if (/device "webgpu": (is not part|does not work)/.test(words)) context.skip("this machine has no WebGPU adapter");
    throw error;
  }
}

/** float32 of three steps, summed in another order: largest differences seen are 1e-6 of a tensor's largest element. */
const TOLERANCE = 1e-4;

function expectSame({ cpu, webgpu }: Both): void {
  expect(webgpu.description).toMatch(/, webgpu$/);
  expect(Object.keys(webgpu.rows)).toEqual(Object.keys(cpu.rows));
  for (const [name, values] of Object.entries(cpu.rows)) {
    const scale = Math.max(1e-3, ...values.map(Math.abs));
    const worst = Math.max(...values.map((v, i) => Math.abs(v - (webgpu.rows[name]?.[i] ?? Number.NaN))));
    expect(worst / scale, name).toBeLessThan(TOLERANCE);
  }
}

describe.each([
  ["three MetaLR steps with the state on the device", []],
  ["the same in micro-batches", ["micro"]],
  ["convolutions that WebGPU's own kernels compute wrongly or refuse, with their gradients", ["convolutions"]],
] as const)("%s", (_, args) => {
  test("agree with the processor", async (context) => expectSame(await child(context, ...args)));
});
