import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** The search from the start, for what it finds is kept. */
async function find(path: string) {
  vi.stubEnv("METALR_NATIVE", path);
  vi.resetModules();
  return (await import("./onednn.js")).findNative();
}

test("an empty name means that there is no module", async () => {
  expect(await find("")).toEqual({ missing: "it is not built (npm run build-native)" });
});

test("a module of another version is refused with what to do", async () => {
  const folder = await mkdtemp(join(tmpdir(), "metalr-"));
  const path = join(folder, "metalr.cjs");
  await writeFile(
    path,
    "exports.version = '2.6.3'; exports.block = 16; exports.bfloat16 = true; exports.load = () => {};",
  );
  expect(await find(path)).toEqual({ missing: `${path} is of another version (npm run build-native builds it anew)` });
  await rm(folder, { recursive: true });
});

test("a file that is no module is refused with the reason", async () => {
  const folder = await mkdtemp(join(tmpdir(), "metalr-"));
  const path = join(folder, "metalr.node");
  await writeFile(path, "not a library");
  const found = await find(path);
  expect("missing" in found && found.missing).toMatch(/^it does not load: /);
  await rm(folder, { recursive: true });
});
