/** @file Runs one ONNX node by its rule: what is constant is computed at once, and errors name the node. */
import { GraphError, MetalrError, ShapeError } from "../../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../../common/tensor.js";
import { constantTensor } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import type { OnnxNode } from "../model.js";
import { NodeContext, type Pass } from "./_context.js";
import { fold } from "./fold.js";
import { importTable } from "./table.js";

/** No machine holds a value with more; a file that asks for it attacks its reader's memory. */
const maxNumbers = 2 ** 32;
/** Larger constants are left to the runtime: here their numbers are held in double precision. */
const maxFolded = 2 ** 24;
const tooLarge = (c: NodeContext, shape: Shape): never =>
  c.refuse("its result is too large", { expected: `at most ${maxNumbers} numbers`, got: formatShape(shape) });

/** Values of the outputs, null for those that are not supported. @throws {GraphError | ShapeError} naming file and node */
export function runNode(node: OnnxNode, pass: Pass): readonly (Value | null)[] {
  const c = new NodeContext(node, pass);
  const rule = node.domain === "" ? importTable[node.opType] : undefined;
  if (rule === undefined) {
    return c.refuse("the operator is not supported", {
      ...(node.domain !== "" && { got: `${node.domain} ${node.opType}` }),
      hint: "docs/OPERATORS.md lists those that are",
    });
  }
  try {
    const result = rule(c);
    const values = "dtype" in result ? [result] : result;
    for (const v of values) if (v !== null && sizeOf(v.shape) > maxNumbers) return tooLarge(c, v.shape);
    // What depends on nothing but constants is computed now: later nodes may need to know it.
    const fixed = c.node.inputs.every((_, i) => {
      const v = c.maybe(i);
      return v === null || constantTensor(v) !== null;
    });
    // The branches of an If read values from around it, and fold what they can themselves.
    const small = values.every((v) => v === null || sizeOf(v.shape) <= maxFolded);
    return fixed && small && node.opType !== "If" ? values.map((v) => v && fold(v)) : values;
  } catch (e) {
    // Our own shape rules know the op and, at most, its name; the reader knows the file's node.
    if (!(e instanceof MetalrError)) {
      // Numbers that no valid file has: fractions as whole numbers, lengths beyond those of arrays.
      throw new GraphError(c.where, { problem: "cannot be computed from these inputs", cause: e });
    }
    if (!(e instanceof ShapeError) || e.where.startsWith(pass.file)) throw e;
    throw new ShapeError(c.where, {
      problem: e.problem,
      ...(e.expected !== undefined && { expected: e.expected }),
      ...(e.got !== undefined && { got: e.got }),
      ...(e.hint !== undefined && { hint: e.hint }),
    });
  }
}
