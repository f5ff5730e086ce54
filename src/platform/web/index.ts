/** @file The machine as a web page sees it: files that were picked, OPFS, the browser's own decoders. */
import { FileError } from "../../common/errors.js";
import type { FileSystem, Platform } from "../types.js";
import { type PickedFile, pickedFiles, twoFileSystems } from "./files.js";
import { webImages } from "./images.js";
import { inflate } from "./inflate.js";

export interface WebPlatformOptions {
  /** What a person picked or dropped: read in place, under its path. */
  readonly picked?: readonly PickedFile[];
  /** For paths that begin with "/": run folders (`opfs()`). Absent: nothing can be written. */
  readonly written?: FileSystem;
  /** Addresses of files inside npm packages, by their path there: "dcmjs-codecs/build/dcmjs-native-codecs.wasm". */
  readonly packageFiles?: Readonly<Record<string, string>>;
}

/** Everything runs in the calling thread, which is to be a worker; ONNX Runtime has threads of its own. */
export function webPlatform({ picked = [], written, packageFiles = {} }: WebPlatformOptions = {}): Platform {
  const read = pickedFiles(picked);
  return {
    files: written === undefined ? read : twoFileSystems(read, written),
    images: webImages,
    inflate,
    async packageFile(path) {
      const address = packageFiles[path];
      if (address === undefined) {
        throw new FileError(path, {
          problem: "is not served with this page",
          hint: "give its address to openTrainer or webPlatform (packageFiles)",
        });
      }
      const response = await fetch(address).catch(() => null);
      if (response?.ok !== true) {
        throw new FileError(path, { problem: "cannot be loaded", got: `status ${response?.status ?? "none"}` });
      }
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}
