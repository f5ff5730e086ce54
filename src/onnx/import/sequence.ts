/** @file Import of sequences that are parts of a tensor, as torch.chunk and torch.split are exported before they are optimised. */
import type { Value } from "../../graph/value.js";
import { concat, reshape, slice } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

/** More parts than this are no network but an attack on memory. */
const maxParts = 4096;

/** Sizes of the parts: given one by one, or equal ones with a smaller last, or ones. */
function partSizes(c: NodeContext, length: number): readonly number[] {
  const given = c.numbers(1, [1]);
  const each = given[0] ?? 0;
  const single = c.maybe(1) === null || c.x(1).shape.length === 0;
  if (single && each >= 1 && length / each <= maxParts) {
    return Array.from({ length: Math.ceil(length / each) }, (_, i) => Math.min(each, length - i * each));
  }
  if (!single && given.length > 0 && given.length <= maxParts && given.reduce((a, b) => a + b, 0) === length)
    return given;
  return c.refuse("the parts do not fill the axis", { expected: String(length), got: `[${given.join(",")}]` });
}

/** The first part stands for the sequence itself, which only SequenceAt and ConcatFromSequence can read. */
const split: ImportRule = (c) => {
  const x = c.x(0);
  const axis = c.axis(c.int("axis", 0), x.shape.length);
  const drop = c.maybe(1) === null && !c.flag("keepdims", true);
  let start = 0;
  const parts = partSizes(c, x.shape[axis] ?? 0).map((size) => {
    const part = slice(x, { axis, start, end: start + size });
    start += size;
    return drop ? reshape(part, part.shape.toSpliced(axis, 1)) : part;
  });
  c.pass.sequences.set(c.node.outputs[0] ?? "", parts);
  return parts[0] ?? c.refuse("has no parts");
};

const parts = (c: NodeContext): readonly Value[] =>
  c.pass.sequences.get(c.node.inputs[0] ?? "") ?? c.refuse("this sequence is not supported");

const at: ImportRule = (c) => {
  const list = parts(c);
  const i = c.number(1);
  return list.at(i) ?? c.refuse("the sequence is shorter", { expected: `below ${list.length}`, got: String(i) });
};

const joined: ImportRule = (c) => {
  if (c.flag("new_axis")) return c.refuse("a new axis is not supported");
  const list = parts(c);
  return concat(list, c.axis(c.int("axis"), list[0]?.shape.length ?? 0));
};

export const sequenceTable: ImportTable = { SplitToSequence: split, SequenceAt: at, ConcatFromSequence: joined };
