/** @file Opens an .onnx file with the weights that may lie beside it, and makes a Model of it. */
import { FileError } from "../common/errors.js";
import { decodeOnnx } from "../onnx/decode.js";
import { maxProtobufBytes } from "../onnx/encode.js";
import type { OnnxModel } from "../onnx/model.js";
import type { Platform } from "../platform/types.js";
import { modelFromOnnx, type OnnxModelOptions } from "./onnx.js";
import type { Model } from "./types.js";

/**
 * Reads a model file whole; external data are read from its own folder.
 * @throws {FileError} missing, too large, damaged; @throws {GraphError} a graph that does not hold together
 */
export async function readOnnx(path: string, { files }: Pick<Platform, "files">): Promise<OnnxModel> {
  const source = await files.open(path);
  try {
    if (source.size > maxProtobufBytes) {
      throw new FileError(path, {
        problem: "too large for an ONNX model",
        expected: `at most ${maxProtobufBytes} bytes`,
        got: String(source.size),
      });
    }
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    // decodeOnnx has checked that the location stays inside the folder.
    return await decodeOnnx(await source.read(0, source.size), path, (location) => files.open(`${folder}${location}`));
  } finally {
    await source.close();
  }
}

/** `modelFromOnnx` of a file; its path is its name. */
export async function openOnnxModel(
  path: string,
  options: Omit<OnnxModelOptions, "name"> & { readonly platform: Pick<Platform, "files"> },
): Promise<Model> {
  const { platform, ...rest } = options;
  return modelFromOnnx(await readOnnx(path, platform), { ...rest, name: path });
}
