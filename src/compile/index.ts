/** @file Graphs to ONNX bytes. */
export { compileBlocked } from "./blocked.js";
export { compilePortable } from "./compile.js";
export { simplify } from "./simplify.js";
export type { Compiled, LoweringName, Port } from "./types.js";
