/** @file Facts of WebGPU's adapters as browsers describe them: a graphics card, an imitation of one, none. */
import { afterEach, expect, test, vi } from "vitest";
import { hasWebGpu, webGpu } from "./web-gpu.js";

afterEach(() => vi.unstubAllGlobals());

const named = (vendor: string, architecture: string, description = "") => ({
  info: { vendor, architecture, device: "", description },
});

test.each([
  ["a graphics card", named("nvidia", "hopper"), "hardware"],
  ["one of a browser that tells nothing of it", {}, "hardware"],
  ["Chromium's own imitation", named("google", "swiftshader"), "software"],
  ["Mesa's", named("mesa", "", "llvmpipe (LLVM 15.0.6, 256 bits)"), "software"],
  ["Windows's", named("microsoft", "", "Microsoft Basic Render Driver"), "software"],
  ["one that says so", { info: { ...named("intel", "gen-9").info, isFallbackAdapter: true } }, "software"],
  ["one that says so as it once was", { isFallbackAdapter: true }, "software"],
  ["no adapter", null, "none"],
])("%s", async (_, adapter, kind) => {
  vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => adapter } });
  expect(await webGpu()).toBe(kind);
  expect(await hasWebGpu()).toBe(kind !== "none");
});

test("a browser without it, and one that fails", async () => {
  vi.stubGlobal("navigator", {});
  expect(await webGpu()).toBe("none");
  vi.stubGlobal("navigator", { gpu: { requestAdapter: () => Promise.reject(new Error("lost")) } });
  expect(await webGpu()).toBe("none");
});
