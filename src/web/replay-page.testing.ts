/// <reference types="vite/client" />
/** @file A page for tests that starts the worker of `replay.testing.ts` with the addresses that the bundler gave. */
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { ReplayRequest } from "./replay.testing.js";

const absolute = (address: string): string => new URL(address, location.href).href;

Object.assign(globalThis, {
  async replayInWorker(hyper: ReplayRequest["hyper"], threads: number): Promise<unknown> {
    const worker = new Worker(new URL("./replay.testing.js", import.meta.url), { type: "module" });
    const file = async (path: string) => ({ path, file: await (await fetch(`./${path}`)).blob() });
    const request: ReplayRequest = {
      weights: await file("init.pth"),
      batches: await file("batches.npz"),
      classes: 3,
      hyper,
      runtime: { files: { mjs: absolute(mjs), wasm: absolute(wasm) }, threads },
    };
    worker.postMessage(request);
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<unknown>) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
  },
});
