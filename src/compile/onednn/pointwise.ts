/** @file Elementwise operators wait until somebody needs them, and then run as one chain: one read and one write for each operand. */
import { type Shape, sameShape, sizeOf } from "../../common/tensor.js";
import { constantTensor } from "../../graph/build.js";
import type { Node, Value } from "../../graph/value.js";
import { type Broadcast, blockedBroadcast, type Layout, plainBroadcast } from "./layout.js";
import { elementNumber, int, type Planner, real, size, stridesOf } from "./planner.js";
import type { Region, Word } from "./program.js";

/** Numbers of `Pointwise::execute` in native/pointwise.cc. */
const codeNumber: Readonly<Record<string, number>> = {
  Add: 1,
  Sub: 2,
  Mul: 3,
  Div: 4,
  Max: 5,
  Min: 6,
  Pow: 7,
  Greater: 8,
  GreaterOrEqual: 9,
  Less: 10,
  LessOrEqual: 11,
  Equal: 12,
  Where: 13,
  Neg: 14,
  Abs: 15,
  Sign: 16,
  Exp: 17,
  Log: 18,
  Sqrt: 19,
  Reciprocal: 20,
  Relu: 21,
  Sigmoid: 22,
  Tanh: 23,
  Clip: 24,
  LeakyRelu: 25,
  Elu: 26,
  Softplus: 27,
  HardSigmoid: 28,
  Erf: 29,
  Floor: 30,
  Ceil: 31,
  Round: 32,
  Not: 33,
  And: 34,
  Or: 35,
  Xor: 36,
  Sin: 37,
  Cos: 38,
  PRelu: 39,
  Expand: 0,
};
/** Worth keeping rather than computing twice. */
const costly = new Set("Pow Exp Log Sigmoid Tanh Elu Softplus Erf Sin Cos".split(" "));

/** Temporary registers of the native loop, and operands of one chain. */
const REGISTERS = 24;
const OPERANDS = 24;
const LONGEST = 48;

const float = (n: Node, name: string) => Number(n.attrs[name]);
function constantsOf(n: Node): [number, number] {
  switch (n.op.name) {
    case "Clip":
      return [float(n, "min"), float(n, "max")];
    case "LeakyRelu":
    case "Elu":
      return [float(n, "alpha"), 0];
    case "HardSigmoid":
      return [float(n, "alpha"), float(n, "beta")];
    default:
      return [0, 0];
  }
}

/** Casts that a chain can do: into float32 or bool; into whole numbers they are rare and left to others. */
function codeOf(n: Node): number | null {
  if (n.op.name !== "Cast") return codeNumber[n.op.name] ?? null;
  const [x] = n.inputs;
  const to = n.attrs["to"];
  if (to === "float32" && (x?.dtype === "bool" || x?.dtype === "int64")) return 0;
  return to === "bool" && (x?.dtype === "float32" || x?.dtype === "int64") ? 41 : null;
}

const held = (v: Value) => v.dtype === "float32" || v.dtype === "bool";
/** int64 comes as labels, which are compared and cast; above 2²⁴ float32 would not hold it. */
const readable = (n: Node, v: Value) =>
  held(v) || (v.dtype === "int64" && (n.op.name === "Equal" || n.op.name === "Cast"));

const isFull = (v: Value, y: Shape) => sizeOf(v.shape) === sizeOf(y) && sizeOf(y) > 1;

const broadcastIn = (layout: Layout, operand: Shape, y: Shape): Broadcast | null =>
  layout === "plain"
    ? plainBroadcast(operand, y)
    : layout === "blocked"
      ? blockedBroadcast(operand, y)
      : sizeOf(operand) === 1
        ? { mode: 1, inner: 1, count: 1 }
        : null;

/** Plans an elementwise node; false where it is none that chains know. */
export function pointwiseRule(p: Planner, node: Node): boolean {
  const y = node.outputs[0]!; // every node has an output
  if (codeOf(node) === null || !held(y)) return false;
  const operands = node.inputs.filter((v): v is Value => v !== null);
  if (!operands.every((v) => readable(node, v)) || sizeOf(y.shape) === 0) return false;
  const layout = chooseLayout(p, operands, y);
  for (const v of operands) {
    if (isFull(v, y.shape) && (layout === "plain" || sameShape(v.shape, y.shape))) continue;
    if (broadcastIn(layout, v.shape, y.shape) === null) spread(p, v, y.shape);
  }
  p.defer(y, { layout, chains: true, make: () => makeChain(p, [y], layout) });
  return true;
}

/** The layout that most of the work is in already. */
function chooseLayout(p: Planner, operands: readonly Value[], y: Value): Layout {
  const full = operands.filter((v) => sameShape(v.shape, y.shape));
  const fits = (layout: Layout) =>
    operands.every((v) => full.includes(v) || broadcastIn(layout, v.shape, y.shape) !== null);
  for (const layout of ["blocked", "weight"] as const) {
    const can = layout === "blocked" ? p.block > 0 && p.canBlock({ ...y, dtype: "float32" }) : p.canBlockWeight(y);
    if (can && fits(layout) && full.some((v) => p.has(v, layout) && (v.dtype === "float32" || p.pending(v))))
      return layout;
  }
  // Nothing but broadcast operands: images are wanted in blocks.
  if (full.length === 0 && y.dtype === "float32" && p.canBlock(y) && sizeOf(y.shape.slice(2)) > 1 && fits("blocked"))
    return "blocked";
  return "plain";
}

/** Copies of operands that no addressing reaches, spread to the result's shape. */
const spreads = new WeakMap<Planner, Map<string, Region>>();
function spread(p: Planner, v: Value, to: Shape): Region {
  const known = spreads.get(p) ?? new Map<string, Region>();
  spreads.set(p, known);
  const source = p.get(v, "plain");
  const key = `${idOf(source)} ${v.shape.join()} ${to.join()}`;
  const found = known.get(key);
  if (found) return found;
  const lead = to.length - v.shape.length;
  const own = stridesOf(v.shape);
  const strides = to.map((_, i) => (i < lead || v.shape[i - lead] === 1 ? 0 : own[i - lead]!)); // i − lead is an axis of v
  const buffer = p.buffer(v.dtype, sizeOf(to));
  p.copy(to, { buffer: source, strides }, { buffer, strides: stridesOf(to) });
  known.set(key, buffer);
  return buffer;
}
const ids = new WeakMap<object, number>();
let nextId = 0;
function idOf(o: object): number {
  const known = ids.get(o);
  if (known !== undefined) return known;
  ids.set(o, ++nextId);
  return nextId;
}

/** Whether v waits as an elementwise result in this layout and shape. */
const waits = (p: Planner, v: Value, layout: Layout, n: number): boolean =>
  p.pending(v)?.layout === layout && p.pending(v)?.chains === true && sizeOf(v.shape) === n && !p.isMade(v);

/**
 * Emits one chain that makes the wanted values (all of one size and layout): everything that waits behind them joins, as far
 * as registers reach; what others read as well is computed twice where it is cheap, and written where it is not.
 */
export function makeChain(p: Planner, wanted: readonly Value[], layout: Layout): void {
  const n = sizeOf(wanted[0]!.shape); // callers want one value at least
  const members: Value[] = [];
  const seen = new Set<Value>();
  const visit = (v: Value, root: boolean) => {
    if (seen.has(v)) return;
    if (!root && !waits(p, v, layout, n)) return;
    if (!root && members.length >= LONGEST) return;
    seen.add(v);
    for (const i of v.node.inputs) if (i) visit(i, false);
    members.push(v);
  };
  for (const v of wanted) visit(v, true);

  const stored = new Set(wanted);
  const inside = new Set(members.map((v) => v.node));
  for (const v of members) {
    if (stored.has(v)) continue;
    const outside = p.readersOf(v).some((r) => r === null || !inside.has(r));
    if (outside && (costly.has(v.node.op.name) || depth(v, inside) > 3 || p.readersOf(v).includes(null))) stored.add(v);
  }
  emitChain(p, members, stored, layout);
}

/** Longest way from v back to the edge of the chain. */
function depth(v: Value, inside: ReadonlySet<Node>, limit = 5): number {
  if (limit === 0 || !inside.has(v.node)) return 0;
  return 1 + Math.max(0, ...v.node.inputs.map((i) => (i ? depth(i, inside, limit - 1) : 0)));
}

interface Operand {
  readonly buffer: Region;
  readonly broadcast: Broadcast;
}

function emitChain(p: Planner, members: readonly Value[], stored: ReadonlySet<Value>, layout: Layout): void {
  const y = members[0]!; // a chain has a member
  const inside = new Set(members);
  const operands: Operand[] = [];
  const numberOf = new Map<string, number>();
  const registerOf = new Map<Value, number>();
  const lastUse = new Map<Value, number>();
  members.forEach((v, k) => {
    for (const i of v.node.inputs) if (i && inside.has(i)) lastUse.set(i, k);
  });
  /** Register number of an operand from outside. */
  const outside = (v: Value, shape: Shape): number => {
    const asIs = isFull(v, shape) && (layout === "plain" || sameShape(v.shape, shape));
    const broadcast = asIs ? plainBroadcast(shape, shape) : broadcastIn(layout, v.shape, shape);
    const buffer = asIs ? p.get(v, layout) : broadcast ? p.get(v, "plain") : spreadIn(p, v, shape, layout);
    const b: Broadcast = broadcast ?? { mode: 0, inner: 1, count: 1 };
    const key = `${idOf(buffer)} ${b.mode} ${b.inner} ${b.count}`;
    let number = numberOf.get(key);
    if (number === undefined) {
      number = operands.length;
      operands.push({ buffer, broadcast: b });
      numberOf.set(key, number);
    }
    return REGISTERS + number;
  };
  const free = Array.from({ length: REGISTERS }, (_, i) => REGISTERS - 1 - i);
  const code: Word[] = [];
  let lines = 0;
  for (const [k, v] of members.entries()) {
    const node = v.node;
    const args = node.inputs.filter((i): i is Value => i !== null).map((i) => registerOf.get(i) ?? outside(i, v.shape));
    // Operands that end here give their register to the result: element by element that is safe.
    for (const i of new Set(node.inputs)) {
      const r = i ? registerOf.get(i) : undefined;
      if (i && r !== undefined && lastUse.get(i) === k && !stored.has(i)) free.push(r);
    }
    const to = free.pop();
    if (to === undefined || operands.length > OPERANDS) {
      emitInHalves(p, members, stored, layout);
      return;
    }
    registerOf.set(v, to);
    const [a = 0, b = 0, c = 0] = args;
    const [q, r] = constantsOf(node);
    code.push(int(codeOf(node)!), int(to), int(a), int(b), int(c), real(q), real(r)); // members have a code
    lines++;
  }
  const outputs = [...stored].map((v) => ({ v, register: registerOf.get(v)! })); // stored values are members
  for (const { v } of outputs) p.settle(v);
  const targets = outputs.map(({ v }) => p.make(v, layout));
  const words: Word[] = [size(sizeOf(y.shape)), int(operands.length)];
  for (const { buffer, broadcast } of operands) {
    words.push(buffer, elementNumber(buffer), int(broadcast.mode), size(broadcast.inner), size(broadcast.count));
  }
  words.push(int(lines), ...code, int(outputs.length));
  outputs.forEach(({ register }, k) => {
    const to = targets[k]!; // one target an output
    words.push(to, elementNumber(to), int(register));
  });
  p.label = members.at(-1)!.node.name || members.map((v) => v.node.op.name).join("·");
  p.emit(
    "Pointwise",
    words,
    operands.map((o) => o.buffer),
    targets,
  );
}

/** Too long for the registers: the first half is made by itself, what it gives is written. */
function emitInHalves(p: Planner, members: readonly Value[], stored: ReadonlySet<Value>, layout: Layout): void {
  const first = members.slice(0, members.length >> 1);
  const second = members.slice(members.length >> 1);
  const later = new Set(second.flatMap((v) => v.node.inputs));
  const kept = new Set(first.filter((v) => stored.has(v) || later.has(v)));
  emitChain(p, first, kept, layout);
  emitChain(p, second, new Set(second.filter((v) => stored.has(v))), layout);
}

/** An operand that has to be spread first, in the chain's layout. */
function spreadIn(p: Planner, v: Value, shape: Shape, layout: Layout): Region {
  const plain = spread(p, v, shape);
  if (layout === "plain") return plain;
  // Chosen layouts reach all their operands: this is the way of values that changed since.
  const view = { ...v, shape };
  p.put(view, "plain", plain);
  return p.get(view, layout);
}

/** Whether v is the float constant x. */
export const isConstant = (v: Value | null | undefined, x: number): boolean => {
  const t = v ? constantTensor(v) : null;
  return t !== null && t.data.length === 1 && Number(t.data[0]) === x;
};
