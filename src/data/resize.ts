/** @file Antialiased bilinear resize, equal to PIL's `Image.resize(size, BILINEAR)` bit for bit. */
import { InternalError } from "../common/errors.js";

/**
 * The taps of one axis: output x is Σ_k weights[x·taps + k] · input[first[x] + k]. Fixed-point weights have 22 fractional
 * bits (32 − 8 for the pixel − 2 for sign and overflow, as Pillow's Resample.c).
 */
interface Axis {
  readonly inSize: number;
  readonly outSize: number;
  /** Row length of `weights`. */
  readonly taps: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly fixed: Int32Array;
  readonly exact: Float64Array;
}

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

function makeAxis(inSize: number, outSize: number): Axis {
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1); // the triangle widens when shrinking: that is the antialiasing
  const support = filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outSize);
  const count = new Int32Array(outSize);
  const fixed = new Int32Array(outSize * taps);
  const exact = new Float64Array(outSize * taps);
  for (let x = 0; x < outSize; x++) {
    const center = (x + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(inSize, Math.trunc(center + support + 0.5));
    let total = 0;
    for (let i = low; i < high; i++) {
      const weight = Math.max(0, 1 - Math.abs((i - center + 0.5) * (1 / filterScale)));
      exact[x * taps + i - low] = weight;
      total += weight;
    }
    first[x] = low;
    count[x] = high - low;
    for (let k = 0; k < high - low; k++) {
      const at = x * taps + k;
      if (total !== 0) exact[at]! /= total; // at < exact.length
      fixed[at] = Math.trunc(0.5 + exact[at]! * (1 << PRECISION));
    }
  }
  return { inSize, outSize, taps, first, count, fixed, exact };
}

const axes = new Map<number, Axis>();

/** The taps of inSize → outSize, from a cache that is emptied when folders of many sizes fill it. */
function axisOf(inSize: number, outSize: number): Axis {
  const key = inSize * 0x1000000 + outSize;
  let axis = axes.get(key);
  if (axis === undefined) {
    if (axes.size >= 1024) axes.clear();
    axis = makeAxis(inSize, outSize);
    axes.set(key, axis);
  }
  return axis;
}

/** A rectangle of one plane: row y starts at data[offset + y·stride]. */
export interface Plane<A extends Uint8Array | Uint16Array | Float32Array> {
  readonly data: A;
  readonly offset: number;
  readonly stride: number;
  readonly width: number;
  readonly height: number;
}

/**
 * One pass over 8-bit lines, written transposed: out[x·lines + y]. Two such passes are horizontal, then vertical, and
 * the second sets the picture upright again; both read along lines. Column by column, so that the weights stay in registers.
 */
function pass8(input: Uint8Array, offset: number, stride: number, lines: number, axis: Axis, out: Uint8Array): void {
  const { taps, first, count, fixed, outSize } = axis;
  for (let x = 0; x < outSize; x++) {
    let from = offset + first[x]!; // x < outSize, here and below
    let to = x * lines;
    const end = to + lines;
    const n = count[x]!;
    const w = x * taps;
    if (n === 2) {
      const a = fixed[w]!; // n weights from w on exist, here and below
      const b = fixed[w + 1]!;
      for (; to < end; to++, from += stride) {
        // from + n − 1 lies inside the line
        out[to] = (HALF + Math.imul(input[from]!, a) + Math.imul(input[from + 1]!, b)) >> PRECISION;
      }
    } else if (n === 3) {
      const a = fixed[w]!;
      const b = fixed[w + 1]!;
      const c = fixed[w + 2]!;
      for (; to < end; to++, from += stride) {
        const sum = Math.imul(input[from]!, a) + Math.imul(input[from + 1]!, b) + Math.imul(input[from + 2]!, c);
        out[to] = (HALF + sum) >> PRECISION;
      }
    } else if (n === 4) {
      const a = fixed[w]!;
      const b = fixed[w + 1]!;
      const c = fixed[w + 2]!;
      const d = fixed[w + 3]!;
      for (; to < end; to++, from += stride) {
        const left = Math.imul(input[from]!, a) + Math.imul(input[from + 1]!, b);
        const right = Math.imul(input[from + 2]!, c) + Math.imul(input[from + 3]!, d);
        out[to] = (HALF + left + right) >> PRECISION;
      }
    } else {
      for (; to < end; to++, from += stride) {
        let sum = HALF;
        for (let k = 0; k < n; k++) sum = (sum + Math.imul(input[from + k]!, fixed[w + k]!)) | 0;
        // With thousands of taps the rounded weights may add up to a little more than one.
        out[to] = Math.min(255, sum >> PRECISION);
      }
    }
  }
}

/** The same for 16-bit and float pixels: sums in float64, each pass rounded to float32, as Pillow's mode "F". */
function passFloat(
  input: Uint16Array | Float32Array,
  offset: number,
  stride: number,
  lines: number,
  axis: Axis,
  out: Float32Array,
): void {
  const { taps, first, count, exact, outSize } = axis;
  for (let x = 0; x < outSize; x++) {
    let from = offset + first[x]!; // x < outSize, here and below
    const n = count[x]!;
    const w = x * taps;
    for (let to = x * lines; to < (x + 1) * lines; to++, from += stride) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += input[from + k]! * exact[w + k]!; // inside the line and its n weights
      out[to] = sum;
    }
  }
}

function transpose<A extends Uint8Array | Float32Array>(plane: Plane<A | Uint16Array>, out: A): void {
  const { data, offset, stride, width, height } = plane;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out[x * height + y] = data[offset + y * stride + x]!; // inside the plane
  }
}

const scratch8 = { data: new Uint8Array(0) };
const scratchFloat = { data: new Float32Array(0) };

/**
 * Resizes 8-bit pixels into `out` (outWidth·outHeight, rows without gaps), as Pillow does for modes "L" and "RGB": a
 * horizontal pass rounded to 8 bits, then a vertical one. An axis that keeps its size is left alone.
 */
export function resize8(plane: Plane<Uint8Array>, outWidth: number, outHeight: number, out: Uint8Array): void {
  check(plane, outWidth, outHeight, out.length);
  const { data, offset, stride, width, height } = plane;
  if (width === outWidth && height === outHeight) {
    for (let y = 0; y < height; y++) {
      out.set(data.subarray(offset + y * stride, offset + y * stride + width), y * width);
    }
    return;
  }
  if (scratch8.data.length < outWidth * height) scratch8.data = new Uint8Array(outWidth * height);
  const middle = scratch8.data;
  if (width === outWidth) transpose(plane, middle);
  else pass8(data, offset, stride, height, axisOf(width, outWidth), middle);
  if (height === outHeight) {
    transpose({ data: middle, offset: 0, stride: height, width: height, height: outWidth }, out);
  } else pass8(middle, 0, height, outWidth, axisOf(height, outHeight), out);
}

/** Resizes 16-bit or float pixels into float32 `out`, as Pillow does for mode "F". */
export function resizeFloat(
  plane: Plane<Uint16Array | Float32Array>,
  outWidth: number,
  outHeight: number,
  out: Float32Array,
): void {
  check(plane, outWidth, outHeight, out.length);
  const { data, offset, stride, width, height } = plane;
  if (scratchFloat.data.length < outWidth * height) scratchFloat.data = new Float32Array(outWidth * height);
  const middle = scratchFloat.data;
  if (width === outWidth) transpose<Float32Array>(plane, middle);
  else passFloat(data, offset, stride, height, axisOf(width, outWidth), middle);
  if (height === outHeight) {
    transpose<Float32Array>({ data: middle, offset: 0, stride: height, width: height, height: outWidth }, out);
  } else passFloat(middle, 0, height, outWidth, axisOf(height, outHeight), out);
}

function check(
  plane: Plane<Uint8Array | Uint16Array | Float32Array>,
  outWidth: number,
  outHeight: number,
  length: number,
): void {
  const { data, offset, stride, width, height } = plane;
  const whole = width > 0 && height > 0 && offset >= 0 && offset + (height - 1) * stride + width <= data.length;
  if (!whole || outWidth < 1 || outHeight < 1 || length < outWidth * outHeight) {
    throw new InternalError(
      `resize of [${height},${width}] at ${offset} to [${outHeight},${outWidth}] leaves its arrays of ${data.length} and ${length}`,
    );
  }
}
