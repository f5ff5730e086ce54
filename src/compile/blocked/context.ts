/** @file What the blocked rules work on: which layouts each value exists in, conversions on demand, and who reads it. */
import { InternalError } from "../../common/errors.js";
import { constantTensor } from "../../graph/build.js";
import type { Node, Value } from "../../graph/value.js";
import { int, ints, text } from "../../ops/lowering.js";
import type { Emitter } from "../emitter.js";
import { convert, declared, type ImageLayout, type Layout, NCHWC } from "./layout.js";

interface Copy {
  readonly name: string;
  /** Strips only: the padding columns are zeros. Convolutions need that; everything else does without. */
  readonly clean: boolean;
}

/** y = gain·x + bias (+ sum), per channel, not emitted yet: an activation or a residual may still join it. */
export interface Affine {
  readonly x: string;
  readonly layout: ImageLayout;
  /** [C], as the bias. */
  readonly gain: string;
  readonly bias: string;
  readonly sum: string | null;
}

export class Context {
  private readonly copies = new Map<Value, Map<Layout, Copy>>();
  private readonly pending = new Map<Value, Affine>();

  constructor(
    readonly e: Emitter,
    readonly block: number,
    /** Nodes that read each value; the graph's outputs count as one reader. */
    private readonly readers: ReadonlyMap<Value, readonly (Node | null)[]>,
  ) {}

  /** The one node that reads v, or null when there are several, or the graph returns it. */
  onlyReader(v: Value): Node | null {
    const all = this.readers.get(v) ?? [];
    return all.length === 1 ? (all[0] ?? null) : null;
  }

  isRead(v: Value): boolean {
    return (this.readers.get(v)?.length ?? 0) > 0;
  }

  put(v: Value, layout: Layout, name: string, clean = false): void {
    const known = this.copies.get(v) ?? new Map<Layout, Copy>();
    known.set(layout, { name, clean });
    this.copies.set(v, known);
  }

  defer(v: Value, affine: Affine): void {
    this.pending.set(v, affine);
  }

  /** The affine map behind v if nothing has read it yet and `reader` is the only one to do so. */
  take(v: Value, reader: Node): Affine | null {
    const affine = this.pending.get(v);
    return affine && this.onlyReader(v) === reader ? affine : null;
  }

  /** Emits gain·x + bias (+ sum), with ReLU if asked. */
  affine(shape: Value["shape"], a: Affine, relu: boolean): string {
    if (a.layout !== "pixel") return this.channelMap(a.x, a.gain, a.bias, shape[1]!, a.sum ?? "", relu); // four axes
    const scaled = this.e.emit("Add", [this.e.emit("Mul", [a.x, a.gain]), a.bias]);
    const sum = a.sum === null ? scaled : this.e.emit("Add", [scaled, a.sum]);
    return relu ? this.e.emit("Relu", [sum]) : sum;
  }

  /** gain·x + bias + sum of an image or a strip as one depthwise 1×1 convolution; `bias` and `sum` may be "". */
  channelMap(x: string, gain: string, bias: string, channels: number, sum = "", relu = false): string {
    const weight = this.e.emit("Reshape", [gain, this.e.vector([channels, 1, 1, 1])]);
    return this.e.emit(
      "Conv",
      [x, weight, bias, sum],
      { group: int(channels), kernel_shape: ints([1, 1]), ...(relu && { activation: text("Relu") }) },
      NCHWC,
    );
  }

  private all(v: Value): Map<Layout, Copy> {
    const affine = this.pending.get(v);
    if (affine) {
      this.pending.delete(v);
      this.put(v, affine.layout, this.affine(v.shape, affine, false));
    }
    const copies = this.copies.get(v);
    if (!copies) throw new InternalError(`${v.node.op.name} is read before it is lowered`);
    return copies;
  }

  /** Whether v exists in this layout already (or will, without a conversion). */
  has(v: Value, layout: Layout): boolean {
    return this.pending.get(v)?.layout === layout || (this.copies.get(v)?.has(layout) ?? false);
  }

  isClean(v: Value): boolean {
    return this.copies.get(v)?.get("strip")?.clean ?? false;
  }

  /** v in the layout, converted where it has to be. */
  get(v: Value, layout: Layout): string {
    const copies = this.all(v);
    const known = copies.get(layout);
    if (known) return known.name;
    const order: readonly Layout[] =
      layout === "plain"
        ? ["image", "strip", "pixel", "weight", "taps"]
        : ["image", "strip", "pixel", "plain", "weight", "taps"];
    const from = order.find((l) => copies.has(l));
    if (!from) throw new InternalError("a value has no layout");
    // The reordering operators know float32 alone: masks take the way over it.
    const cast = (x: string, code: number) => (v.dtype === "bool" ? this.e.emit("Cast", [x], { to: int(code) }) : x);
    const source = cast(copies.get(from)!.name, 1); // found just above
    const name = cast(convert(this.e, source, v.shape, from, layout, this.block), 9);
    this.put(v, layout, name, layout === "strip"); // conversions fill the padding with zeros
    return name;
  }

  /** A float32 tensor that no value stands for, in another layout. */
  conversion(name: string, shape: Value["shape"], from: Layout, to: Layout): string {
    return convert(this.e, name, shape, from, to, this.block);
  }

  /** v as a strip whose padding columns are zeros. */
  clean(v: Value): string {
    const name = this.get(v, "strip");
    if (this.isClean(v)) return name;
    const cleaned = this.mask(name, v.shape);
    this.put(v, "strip", cleaned, true);
    return cleaned;
  }

  /** A strip with its padding columns set to zero, and each channel multiplied by `gain` [C] if it is given. */
  mask(strip: string, shape: Value["shape"], gain = ""): string {
    const [n, c, h, w] = shape as [number, number, number, number]; // strips are of four axes
    const [blocks, columns] = [c / this.block, n * (w + 1)];
    const { e, block } = this;
    const keep = e.once(`columns of ${n} images of ${w}`, () => {
      const data = Float32Array.from({ length: columns * block }, (_, i) =>
        Math.floor(i / block) % (w + 1) === w ? 0 : 1,
      );
      return { dtype: "float32", shape: [columns, block], data };
    });
    const factor = gain === "" ? keep : e.emit("Mul", [keep, e.emit("Reshape", [gain, e.vector([blocks, 1, block])])]);
    const row = e.emit("Reshape", [factor, e.vector([gain === "" ? 1 : blocks, 1, columns * block])]);
    const rows = e.emit("Reshape", [strip, e.vector([blocks, h, columns * block])]);
    return e.emit("Reshape", [e.emit("Mul", [rows, row]), e.vector(declared(shape, "strip"))]);
  }

  /** Mean of each channel over the batch and all pixels, [C]; padding columns are left out. */
  channelMeans(name: string, shape: Value["shape"], layout: ImageLayout): string {
    const [n, c, h, w] = shape as [number, number, number, number]; // images
    const { e } = this;
    if (layout === "pixel") {
      const rows = n * h * w;
      const share = e.once(`share of ${rows}`, () => {
        return { dtype: "float32", shape: [1, rows], data: new Float32Array(rows).fill(1 / rows) };
      });
      const sum = e.emit("MatMul", [share, e.emit("Reshape", [name, e.vector([rows, c])])]);
      return e.emit("Reshape", [sum, e.vector([c])]);
    }
    if (layout === "strip") {
      const images = this.imageMeans(name, shape);
      const all = n === 1 ? images : e.emit("GlobalAveragePool", [images], {}, NCHWC);
      return e.emit("Reshape", [all, e.vector([c])]);
    }
    const images = h * w === 1 ? name : e.emit("GlobalAveragePool", [name], {}, NCHWC);
    return e.emit("ReduceMean", [e.emit("Reshape", [images, e.vector([n, c])]), e.vector([0])], { keepdims: int(0) });
  }

  /** Mean of each image of a strip, declared [1, C, 1, N]: windows of one image, one apart. */
  imageMeans(name: string, shape: Value["shape"]): string {
    const [, , h, w] = shape as [number, number, number, number]; // strips
    return this.e.emit(
      "AveragePool",
      [name],
      { kernel_shape: ints([h, w]), strides: ints([1, w + 1]), count_include_pad: int(0) },
      NCHWC,
    );
  }
}

/** A value of one element, or a broadcast scalar constant: the same in every layout. */
export const isScalarLike = (v: Value): boolean => v.shape.every((d) => d === 1) && v.shape.length <= 1;

/** Whether v is the float constant x. */
export const isConstant = (v: Value | null | undefined, x: number): boolean => {
  const t = v ? constantTensor(v) : null;
  return t !== null && t.data.length === 1 && Number(t.data[0]) === x;
};
