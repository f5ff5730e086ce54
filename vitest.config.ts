/** @file How the tests run: two processes at most, since a machine with two cores is the one that must stay usable. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The examples import the package by its name, as its users do; here that is its sources. */
const source = (path: string) => fileURLToPath(new URL(`src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^metalr$/, replacement: source("index.ts") },
      { find: /^metalr\/(\w+)$/, replacement: source("$1/index.ts") },
    ],
  },
  test: {
    include: ["src", "scripts", "bench", "examples"].map((folder) => `${folder}/**/*.test.{ts,tsx}`),
    // Processes, not threads: native addons (ONNX Runtime, sharp) keep their threads and caches once per process.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
