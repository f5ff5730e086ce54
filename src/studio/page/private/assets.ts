/** @file Where the training worker, ONNX Runtime and the DICOM codecs lie beside the page, as the bundler has put them. */
import codecs from "dcmjs-codecs/build/dcmjs-native-codecs.wasm?url";
import gpuMjs from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasm from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { codecsFile } from "../../../data/dicom/codecs.js";
import type { TrainerSetup } from "../../../web/protocol.js";
import script from "../../../web/worker.ts?worker&url";

/** Absolute, with the studio's token where the page has one: what a worker asks for carries none by itself. */
function address(path: string): string {
  const url = new URL(path, document.baseURI);
  const token = new URLSearchParams(location.search).get("token");
  if (token !== null) url.searchParams.set("token", token);
  return url.href;
}

export type Provider = "wasm" | "webgpu";

export const startWorker = (): Worker => new Worker(address(script), { type: "module", name: "metalr" });

/** @param threads 0 for as many as there are processors */
export const setupFor = (provider: Provider, threads: number): TrainerSetup => ({
  runtime: {
    provider,
    ...(threads > 0 && { threads }),
    files:
      provider === "webgpu"
        ? { mjs: address(gpuMjs), wasm: address(gpuWasm) }
        : { mjs: address(mjs), wasm: address(wasm) },
  },
  packageFiles: { [codecsFile]: address(codecs) },
});
