/** @file How the tests run: two processes at most, since a machine with two cores is the one that must stay usable. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src", "scripts", "bench", "examples"].map((folder) => `${folder}/**/*.test.{ts,tsx}`),
    // Processes, not threads: native addons (ONNX Runtime, sharp) keep their threads and caches once per process.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
