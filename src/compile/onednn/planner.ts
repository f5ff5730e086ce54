/** @file What the rules of the native plan work on: which layouts each value exists in, what is still pending, and the instructions so far. */
import { InternalError } from "../../common/errors.js";
import { bytesPerElement, type Shape, sizeOf, type Tensor } from "../../common/tensor.js";
import { constantTensor } from "../../graph/build.js";
import type { Node, Value } from "../../graph/value.js";
import { canBlock, canBlockWeight, type Layout, layoutNumber, typeNumber } from "./layout.js";
import {
  bytesOf,
  type ElementType,
  type Foreign,
  type Instruction,
  type InstructionKind,
  type Machine,
  type Precision,
  type Region,
  type Stage,
  type Word,
} from "./program.js";

/** A value that nobody has needed yet; `make` gives it in the layout that it is planned in. */
export interface Pending {
  readonly layout: Layout;
  /** Whether it is an elementwise operator that a chain may take in. */
  readonly chains: boolean;
  make(): void;
}

export const int = (n: number): Word => ({ int: n });
export const size = (n: number): Word => ({ size: n });
export const sizes = (list: readonly number[]): Word[] => list.map(size);
export const real = (x: number): Word => ({ real: x });
/** The number of a buffer's element type. */
export const elementNumber = (b: Region): Word => int(typeNumber[b.dtype] ?? 0); // `buffer` refuses others

export class Planner {
  readonly instructions: Instruction[] = [];
  readonly stages: Stage[] = [];
  readonly constants = new Map<Region, Uint8Array>();
  /** Taps of max-pooling windows, by the `indices` value that they stand for, and the layout that they were taken in. */
  readonly taps = new Map<Value, { readonly buffer: Region; readonly layout: Layout }>();
  private readonly copies = new Map<Value, Map<Layout, Region>>();
  private readonly waiting = new Map<Value, Pending>();
  private readonly constantBuffers = new Map<string, Region>();
  private readonly targets: ReadonlyMap<Value, { readonly layout: Layout; readonly buffer: Region }>;
  private readonly taken = new Set<Region>();
  /** Set before each node's rule. */
  label = "";

  readonly block: number;
  readonly precision: Precision;
  readonly winograd: boolean;

  /**
   * @param readers nodes that read each value; null for the graph itself
   * @param targets graph outputs: a value made in the layout of its port is written there at once
   */
  constructor(
    machine: Machine,
    private readonly readers: ReadonlyMap<Value, readonly (Node | null)[]>,
    targets: ReadonlyMap<Value, { readonly layout: Layout; readonly buffer: Region }>,
  ) {
    this.targets = targets;
    this.block = machine.block;
    this.precision = machine.precision ?? "float32";
    this.winograd = machine.winograd ?? false;
  }

  readersOf(v: Value): readonly (Node | null)[] {
    return this.readers.get(v) ?? [];
  }

  isRead(v: Value): boolean {
    return this.readersOf(v).length > 0;
  }

  /** The one node that reads v, or null when there are several, or the graph returns it. */
  onlyReader(v: Value): Node | null {
    const all = this.readersOf(v);
    return all.length === 1 ? (all[0] ?? null) : null;
  }

  /** Whether v can lie in blocks of channels. */
  canBlock(v: Value): boolean {
    return v.dtype === "float32" && canBlock(v.shape, this.block);
  }

  canBlockWeight(v: Value): boolean {
    return v.dtype === "float32" && canBlockWeight(v.shape, this.block);
  }

  emit(
    kind: InstructionKind,
    words: readonly Word[],
    reads: readonly (Region | null)[],
    writes: readonly (Region | null)[],
    flops = 0,
  ): void {
    const given = (list: readonly (Region | null)[]) => list.filter((b): b is Region => b !== null);
    this.instructions.push({ kind, label: this.label, words, reads: given(reads), writes: given(writes), flops });
  }

  /** Ends the native stretch so far and runs a foreign graph. */
  foreign(f: Foreign): void {
    this.stages.push({ end: this.instructions.length }, { foreign: f });
  }

  buffer(dtype: ElementType, elements: number): Region {
    if (typeNumber[dtype] === undefined) throw new InternalError(`native programs do not hold ${dtype}`);
    return { space: "arena", dtype, size: elements, at: 0 };
  }

  /** Memory for v in a layout: the graph's own output where v is one, else the arena. */
  target(v: Value, layout: Layout): Region {
    const output = this.targets.get(v);
    if (output && output.layout === layout && !this.taken.has(output.buffer)) {
      this.taken.add(output.buffer);
      return output.buffer;
    }
    return this.buffer(this.elementOf(v, layout), sizeOf(v.shape));
  }

  /** How v's elements are held in a layout: blocked images in the program's precision. */
  elementOf(v: Value, layout: Layout): ElementType {
    return layout === "blocked" && v.dtype === "float32" ? this.precision : v.dtype;
  }

  put(v: Value, layout: Layout, buffer: Region): void {
    const known = this.copies.get(v);
    if (known) known.set(layout, buffer);
    else this.copies.set(v, new Map([[layout, buffer]]));
  }

  /** A new buffer for v in a layout, known as v from now on. */
  make(v: Value, layout: Layout): Region {
    const buffer = this.target(v, layout);
    this.put(v, layout, buffer);
    return buffer;
  }

  defer(v: Value, pending: Pending): void {
    this.waiting.set(v, pending);
  }

  pending(v: Value): Pending | null {
    return this.waiting.get(v) ?? null;
  }

  /** Takes v out of what is pending: whoever calls this makes it, or makes it needless. */
  settle(v: Value): void {
    this.waiting.delete(v);
  }

  /** Layouts that v exists in, or will. */
  layoutsOf(v: Value): readonly Layout[] {
    const waiting = this.waiting.get(v);
    return [...(this.copies.get(v)?.keys() ?? []), ...(waiting ? [waiting.layout] : [])];
  }

  /** Whether v lies in memory already, in any layout. */
  isMade(v: Value): boolean {
    return this.copies.has(v) || constantTensor(v) !== null;
  }

  has(v: Value, layout: Layout): boolean {
    return this.layoutsOf(v).includes(layout);
  }

  /** The layout of image-like values: blocked where v lies so already, or may as well. */
  imageLayout(v: Value): Layout {
    return this.canBlock(v) && (this.has(v, "blocked") || constantTensor(v) === null) ? "blocked" : "plain";
  }

  /** v in the layout; made or converted where it has to be. */
  get(v: Value, layout: Layout): Region {
    const waiting = this.waiting.get(v);
    if (waiting) {
      this.waiting.delete(v);
      waiting.make();
    }
    const fixed = constantTensor(v);
    if (fixed && !this.copies.has(v)) this.put(v, "plain", this.constant(fixed));
    const copies = this.copies.get(v);
    if (!copies) throw new InternalError(`${v.node.op.name} "${v.node.name}" is read before it is planned`);
    const known = copies.get(layout);
    if (known) return known;
    const [from, source] = [...copies][0]!; // a value that is known has a copy
    // One position a channel, one image a block row: then blocks are C order.
    const same = source.dtype === this.elementOf(v, layout);
    if (same && layout !== "weight" && from !== "weight" && sizeOf(v.shape.slice(2)) === 1) {
      this.put(v, layout, source);
      return source;
    }
    if (from === "weight" && layout === "blocked") {
      this.get(v, "plain");
      return this.get(v, layout);
    }
    const to = this.make(v, layout);
    if (v.dtype !== "float32") throw new InternalError(`only float32 is reordered, not ${v.dtype}`);
    const form = (b: Region, l: Layout) => [elementNumber(b), int(layoutNumber[l])];
    const words = [int(v.shape.length), ...sizes(v.shape), ...form(source, from), ...form(to, layout), source, to];
    this.emit("Reorder", words, [source], [to]);
    return to;
  }

  constant(t: Tensor): Region {
    if (typeNumber[t.dtype] === undefined) throw new InternalError(`native programs do not hold ${t.dtype}`);
    const bytes = new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.length * bytesPerElement(t.dtype)).slice();
    const key = bytes.length <= 256 ? `${t.dtype} ${bytes.join()}` : "";
    const known = key === "" ? undefined : this.constantBuffers.get(key);
    if (known) return known;
    const buffer: Region = { space: "constants", dtype: t.dtype, size: t.data.length, at: 0 };
    this.constants.set(buffer, bytes);
    if (key !== "") this.constantBuffers.set(key, buffer);
    return buffer;
  }

  scalar(x: number): Region {
    return this.constant({ dtype: "float32", shape: [], data: Float32Array.of(x) });
  }

  /**
   * to[i·toStrides] = from[i·fromStrides] for all i below shape; offsets and strides in elements.
   * "add" adds float32 to what is there; then steps along the first axis must not meet at the same element.
   */
  copy(
    shape: Shape,
    from: { readonly buffer: Region; readonly strides: readonly number[]; readonly at?: number },
    to: { readonly buffer: Region; readonly strides: readonly number[]; readonly at?: number },
    how: "set" | "add" = "set",
  ): void {
    const c = collapse(shape, from.strides, to.strides);
    const words = [
      int(c.shape.length),
      ...sizes(c.shape),
      ...sizes(c.from),
      ...sizes(c.to),
      size(from.at ?? 0),
      size(to.at ?? 0),
      int(bytesOf(to.buffer.dtype)),
      int(how === "add" ? 1 : 0),
      from.buffer,
      to.buffer,
    ];
    this.emit("Copy", words, how === "add" ? [from.buffer, to.buffer] : [from.buffer], [to.buffer]);
  }
}

/** Fewer axes for the same copy: axes of one element go, neighbours that continue each other join. */
function collapse(shape: Shape, from: readonly number[], to: readonly number[]) {
  const axes: { n: number; from: number; to: number }[] = [];
  shape.forEach((n, i) => {
    if (n === 1) return;
    const last = axes.at(-1);
    const [f, t] = [from[i]!, to[i]!]; // as many strides as axes
    if (last && last.from === f * n && last.to === t * n) axes[axes.length - 1] = { n: last.n * n, from: f, to: t };
    else axes.push({ n, from: f, to: t });
  });
  if (axes.length === 0) axes.push({ n: 1, from: 1, to: 1 });
  if (axes.length > 8) throw new InternalError(`a copy of ${axes.length} axes`);
  return { shape: axes.map((a) => a.n), from: axes.map((a) => a.from), to: axes.map((a) => a.to) };
}

/** Strides of C order. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let n = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = n;
    n *= shape[i]!; // i is an axis
  }
  return strides;
}
