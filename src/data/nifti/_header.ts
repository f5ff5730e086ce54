/** @file Heads of NIfTI-1 and NIfTI-2 files (nifti1.h, nifti2.h), read as nibabel reads them and checked before memory is taken. */
import { DataError, FileError } from "../../common/errors.js";
import { arrayTypes, type DType } from "../../common/tensor.js";
import { formatCount } from "../../formats/bytes.js";

/** Bytes that hold any head. */
export const headBytes = 544;

export type NiftiType = Exclude<DType, "bool">;

/** 4 × 4, row by row: voxel indices (x, y, z, 1) → right, anterior, superior, in the file's units (mostly mm). */
export type Affine = readonly number[];

export interface NiftiHeader {
  readonly version: 1 | 2;
  readonly littleEndian: boolean;
  readonly dtype: NiftiType;
  /** As nibabel: [x, y, z, t, …]. */
  readonly shape: readonly number[];
  /** Size of a voxel along each axis of `shape`, in the file's own units. */
  readonly zooms: readonly number[];
  /** Along x, y and z. */
  readonly spacingMm: readonly [number, number, number];
  readonly affine: Affine;
  /** Where the voxels begin. */
  readonly offset: number;
  /** Value = stored · slope + intercept; 1 and 0 where the file has no scaling. */
  readonly slope: number;
  readonly intercept: number;
}

const types: ReadonlyMap<number, NiftiType> = new Map([
  [2, "uint8"],
  [4, "int16"],
  [8, "int32"],
  [16, "float32"],
  [64, "float64"],
  [256, "int8"],
  [512, "uint16"],
  [768, "uint32"],
  [1024, "int64"],
  [1280, "uint64"],
]);

const refusedTypes: ReadonlyMap<number, string> = new Map([
  [0, "unknown"],
  [1, "single bits"],
  [32, "complex64"],
  [128, "RGB24"],
  [1536, "float128"],
  [1792, "complex128"],
  [2048, "complex256"],
  [2304, "RGBA32"],
]);

/** One field of a head, by version: [offset, kind]. */
const layout = {
  1: { dim: 40, datatype: 70, pixdim: 76, vox_offset: 108, scl_slope: 112, scl_inter: 116, xyzt_units: 123 },
  2: { dim: 16, datatype: 12, pixdim: 104, vox_offset: 168, scl_slope: 176, scl_inter: 184, xyzt_units: 500 },
} as const;
const orientation = {
  1: { qform_code: 252, sform_code: 254, quatern_b: 256, qoffset_x: 268, srow_x: 280 },
  2: { qform_code: 344, sform_code: 348, quatern_b: 352, qoffset_x: 376, srow_x: 400 },
} as const;

/** Numbers of a head: NIfTI-2 has 8 bytes where NIfTI-1 has 2 (counts) or 4 (reals). */
class Head {
  readonly view: DataView;
  constructor(
    readonly name: string,
    bytes: Uint8Array,
    readonly version: 1 | 2,
    readonly littleEndian: boolean,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  count(at: number, index = 0): number {
    if (this.version === 1) return this.view.getInt16(at + 2 * index, this.littleEndian);
    return Number(this.view.getBigInt64(at + 8 * index, this.littleEndian));
  }
  real(at: number, index = 0): number {
    if (this.version === 1) return this.view.getFloat32(at + 4 * index, this.littleEndian);
    return this.view.getFloat64(at + 8 * index, this.littleEndian);
  }
  code(at: number): number {
    return this.version === 1 ? this.view.getInt16(at, this.littleEndian) : this.view.getInt32(at, this.littleEndian);
  }
  refuse(field: string, problem: string, facts: { expected?: string; got?: string; hint?: string } = {}): DataError {
    return new DataError(this.name, { problem: `${field} ${problem}`, ...facts });
  }
}

const magicAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

/** Version and byte order, by the head's own size and its magic. */
function openHead(bytes: Uint8Array, name: string): Head {
  const pairHint = "join them into one .nii file, for example with nibabel: nib.save(nib.load(hdr), 'volume.nii.gz')";
  if (bytes.length >= 348) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const littleEndian of [true, false]) {
      const size = view.getInt32(0, littleEndian);
      if (size !== 348 && size !== 540) continue;
      const version = size === 348 ? 1 : 2;
      if (version === 2 && bytes.length < 540) break;
      const magic = magicAt(bytes, version === 1 ? 344 : 4);
      if (magic === `n+${version}\0`) return new Head(name, bytes, version, littleEndian);
      const pair = magic === `ni${version}\0`;
      throw new FileError(name, {
        problem: pair
          ? "is one half of a .hdr/.img pair, which is not read"
          : "is an ANALYZE file, or its magic is damaged",
        expected: `magic "n+${version}" at byte ${version === 1 ? 344 : 4}`,
        got: pair ? `"ni${version}"` : "something else",
        hint: pairHint,
      });
    }
  }
  throw new FileError(name, {
    problem: "is not a NIfTI file",
    expected: "sizeof_hdr 348 (NIfTI-1) or 540 (NIfTI-2) in the first 4 bytes",
    got: bytes.length < 348 ? `${bytes.length} bytes in all` : "something else",
  });
}

function shapeOf(head: Head): number[] {
  const at = layout[head.version].dim;
  const axes = head.count(at);
  if (!(axes >= 1 && axes <= 7))
    throw head.refuse("dim[0]", "is not a number of axes", { expected: "1 to 7", got: String(axes) });
  return Array.from({ length: axes }, (_, i) => {
    const length = head.count(at, i + 1);
    if (length >= 1 && Number.isSafeInteger(length)) return length;
    throw head.refuse(`dim[${i + 1}]`, "is not the length of an axis", { expected: "at least 1", got: String(length) });
  });
}

/** Rotation of a unit quaternion; nibabel takes a slightly negative a² for 0 and refuses more. */
function quaternionAffine(head: Head, zooms: readonly number[]): Affine {
  const { quatern_b, qoffset_x } = orientation[head.version];
  const [b, c, d] = [0, 1, 2].map((i) => head.real(quatern_b, i)) as [number, number, number]; // three asked for
  const square = 1 - (b * b + c * c + d * d);
  if (!(square >= -1e-5)) {
    throw head.refuse("quatern_b, quatern_c, quatern_d", "are no rotation", {
      expected: "squares that sum to at most 1",
      got: String(1 - square),
    });
  }
  const a = Math.sqrt(Math.max(square, 0));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const qfac = head.real(layout[head.version].pixdim) === -1 ? -1 : 1;
  const scale = [zooms[0] ?? 1, zooms[1] ?? 1, (zooms[2] ?? 1) * qfac];
  return [
    ...rotation.flatMap((row, i) => [...row.map((r, j) => r * (scale[j] ?? 1)), head.real(qoffset_x, i)]),
    0,
    0,
    0,
    1,
  ];
}

/** As nibabel's get_best_affine: sform, else qform, else the middle of the volume at 0 and x to the left. */
function affineOf(head: Head, shape: readonly number[], zooms: readonly number[]): Affine {
  const { qform_code, sform_code, srow_x } = orientation[head.version];
  if (head.code(sform_code) > 0) return [...Array.from({ length: 12 }, (_, i) => head.real(srow_x, i)), 0, 0, 0, 1];
  if (head.code(qform_code) > 0) return quaternionAffine(head, zooms);
  return [0, 1, 2]
    .flatMap((i) => {
      const step = (zooms[i] ?? 1) * (i === 0 ? -1 : 1);
      const row = [0, 0, 0, (-step * ((shape[i] ?? 1) - 1)) / 2];
      row[i] = step;
      return row;
    })
    .concat([0, 0, 0, 1]);
}

/** Millimetres in one unit of space: metre, millimetre, micrometre; unknown counts as millimetre. */
const unitMm: Readonly<Record<number, number>> = { 1: 1000, 3: 0.001 };

function scaling(head: Head): readonly [slope: number, intercept: number] {
  const { scl_slope, scl_inter } = layout[head.version];
  const slope = head.real(scl_slope);
  const intercept = head.real(scl_inter);
  if (slope === 0 || !Number.isFinite(slope)) return [1, 0]; // "no scaling", says nifti1.h
  if (!Number.isFinite(intercept)) {
    throw head.refuse("scl_inter", "is not a number, but scl_slope is", { got: String(intercept) });
  }
  return [slope, intercept];
}

/**
 * The head of a single-file NIfTI.
 *
 * @param bytes the file, unpacked, or at least its first `headBytes`
 * @param available bytes that the whole file, unpacked, has at most
 * @throws {FileError} not NIfTI, one half of a pair, truncated
 * @throws {DataError} naming the field that makes no sense
 */
export function readNiftiHeader(bytes: Uint8Array, available: number, name: string): NiftiHeader {
  const head = openHead(bytes, name);
  const at = layout[head.version];
  const shape = shapeOf(head);
  const code = head.view.getInt16(at.datatype, head.littleEndian);
  const dtype = types.get(code);
  if (dtype === undefined) {
    const known = refusedTypes.get(code);
    throw head.refuse("datatype", "is not one that is read", {
      expected: "whole or real numbers: 2, 4, 8, 16, 64, 256, 512, 768, 1024 or 1280",
      got: known === undefined ? String(code) : `${code} (${known})`,
    });
  }
  const start = head.version === 1 ? head.real(at.vox_offset) : head.count(at.vox_offset);
  const first = head.version === 1 ? 352 : 544;
  const offset = start === 0 ? first : start;
  if (!Number.isSafeInteger(offset) || offset < first) {
    throw head.refuse("vox_offset", "lies inside the head", { expected: `at least ${first}`, got: String(start) });
  }
  const bytesEach = arrayTypes[dtype].BYTES_PER_ELEMENT;
  const needed = shape.reduce((n, d) => n * d, bytesEach);
  if (needed + offset > available) {
    throw new FileError(name, {
      problem: "is shorter than dim and vox_offset say",
      expected: `${formatCount(needed)} bytes of voxels ([${shape.join(",")}], ${dtype}) from byte ${formatCount(offset)}`,
      got: `at most ${formatCount(Math.max(0, available - offset))}`,
      hint: "the file is truncated or damaged; copy or download it again",
    });
  }
  const zooms = shape.map((_, i) => Math.abs(head.real(at.pixdim, i + 1)));
  for (const [i, zoom] of zooms.slice(0, 3).entries()) {
    if (!Number.isFinite(zoom)) throw head.refuse(`pixdim[${i + 1}]`, "is not a number", { got: String(zoom) });
  }
  const units =
    head.version === 1 ? head.view.getUint8(at.xyzt_units) : head.view.getInt32(at.xyzt_units, head.littleEndian);
  const mm = unitMm[units & 7] ?? 1;
  const [slope, intercept] = scaling(head);
  const spacing = (axis: number): number => (zooms[axis] ?? 1) * mm;
  return {
    version: head.version,
    littleEndian: head.littleEndian,
    dtype,
    shape,
    zooms,
    spacingMm: [spacing(0), spacing(1), spacing(2)],
    affine: affineOf(head, shape, zooms),
    offset,
    slope,
    intercept,
  };
}

/** "RAS", "LPI", …: where each axis of the voxels points to most (as nibabel's aff2axcodes); null for an affine of no rank. */
export function axisCodes(affine: Affine): string | null {
  const left = new Set([0, 1, 2]);
  const codes = ["", "", ""];
  const entries = [0, 1, 2].flatMap((row) =>
    [0, 1, 2].map((column) => ({ row, column, value: affine[4 * row + column] ?? 0 })),
  );
  const lengths = [0, 1, 2].map((c) => Math.hypot(affine[c] ?? 0, affine[4 + c] ?? 0, affine[8 + c] ?? 0));
  entries.sort((a, b) => Math.abs(b.value) / (lengths[b.column] || 1) - Math.abs(a.value) / (lengths[a.column] || 1));
  for (const { row, column, value } of entries) {
    if (codes[column] !== "" || !left.has(row) || value === 0 || !Number.isFinite(value)) continue;
    left.delete(row);
    codes[column] = ["LR", "PA", "IS"][row]?.[value > 0 ? 1 : 0] ?? "";
  }
  return codes.includes("") ? null : codes.join("");
}
