/** @file Files that installed npm packages ship: WebAssembly modules. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileError } from "./_errors.js";

const { resolve } = createRequire(import.meta.url);

/** @throws {FileError} the package is not installed, or has no such file */
export async function packageFile(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(resolve(path)));
  } catch (cause) {
    throw fileError(path, "cannot be loaded from its npm package", cause);
  }
}
