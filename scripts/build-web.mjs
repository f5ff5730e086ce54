/** @file How Vite bundles what runs metalr/web: one file for a worker, ONNX Runtime's files beside it under addresses of their own. */
import { defaultClientConditions } from "vite";

/** @returns {import("vite").InlineConfig} */
export const webConfig = () => ({
  configFile: false,
  base: "./",
  logLevel: "warn",
  publicDir: false,
  // ONNX Runtime without its WebAssembly glue inside: the glue is also the script of its threads, so it has to be a file.
  plugins: [
    {
      // The threads that prepare images on Node: a browser's worker does it by itself, so their script is no file of the page.
      name: "metalr-no-node-threads",
      generateBundle(_, bundle) {
        for (const file of Object.keys(bundle)) if (file.endsWith(".ts")) delete bundle[file];
      },
    },
  ],
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  worker: {
    format: "es",
    // One file: the studio serves nothing without its token, which an import inside of a script does not carry.
    rolldownOptions: { output: { codeSplitting: false } },
  },
  build: {
    emptyOutDir: true,
    target: "es2022",
    // The policy of the pages allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    // Warns of sizes that are known, measured by a test and mostly ONNX Runtime's.
    chunkSizeWarningLimit: 4000,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
});
