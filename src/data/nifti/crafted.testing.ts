/** @file For tests: writes small NIfTI files field by field. */
import { arrayTypes, type DType } from "../../common/tensor.js";

export interface Craft {
  version?: 1 | 2;
  littleEndian?: boolean;
  magic?: string;
  /** dim[1] …; dim[0] is their number unless `axes` says otherwise. */
  shape?: readonly number[];
  axes?: number;
  dtype?: DType;
  /** Code of `dtype` unless given. */
  datatype?: number;
  pixdim?: readonly number[];
  voxOffset?: number;
  slope?: number;
  intercept?: number;
  units?: number;
  /** code, b, c, d, x, y, z */
  qform?: readonly number[];
  /** code, then three rows of four */
  sform?: readonly number[];
  values?: readonly number[];
}

const codes: Partial<Record<DType, number>> = {
  uint8: 2,
  int16: 4,
  int32: 8,
  float32: 16,
  float64: 64,
  int8: 256,
  uint16: 512,
  uint32: 768,
  int64: 1024,
  uint64: 1280,
};

/** The bytes of a .nii file: by default 2 × 3 × 4 voxels of int16 with the values 0, 1, 2, … */
export function craftNifti(c: Craft = {}): Uint8Array {
  const { version = 1, littleEndian = true, shape = [2, 3, 4], dtype = "int16", pixdim = [1, 1, 1, 1] } = c;
  const first = version === 1 ? 352 : 544;
  const count = shape.reduce((n, d) => n * Math.max(d, 0), 1);
  const values = c.values ?? Array.from({ length: Math.min(count, 10_000) }, (_, i) => i);
  const size = arrayTypes[dtype].BYTES_PER_ELEMENT;
  const view = new DataView(new ArrayBuffer(first + values.length * size));
  const real = (at: number, value: number) =>
    version === 1 ? view.setFloat32(at, value, littleEndian) : view.setFloat64(at, value, littleEndian);
  const whole = (at: number, value: number) =>
    version === 1 ? view.setInt16(at, value, littleEndian) : view.setBigInt64(at, BigInt(value), littleEndian);
  const code = (at: number, value: number) =>
    version === 1 ? view.setInt16(at, value, littleEndian) : view.setInt32(at, value, littleEndian);
  const [w, r] = version === 1 ? [2, 4] : [8, 8];
  const at =
    version === 1
      ? {
          magic: 344,
          dim: 40,
          type: 70,
          pixdim: 76,
          offset: 108,
          slope: 112,
          inter: 116,
          units: 123,
          q: 252,
          s: 254,
          b: 256,
          row: 280,
        }
      : {
          magic: 4,
          dim: 16,
          type: 12,
          pixdim: 104,
          offset: 168,
          slope: 176,
          inter: 184,
          units: 500,
          q: 344,
          s: 348,
          b: 352,
          row: 400,
        };
  view.setInt32(0, version === 1 ? 348 : 540, littleEndian);
  for (const [i, char] of [...(c.magic ?? `n+${version}\0`)].entries()) view.setUint8(at.magic + i, char.charCodeAt(0));
  whole(at.dim, c.axes ?? shape.length);
  for (const [i, d] of shape.entries()) whole(at.dim + w * (i + 1), d);
  view.setInt16(at.type, c.datatype ?? codes[dtype] ?? 0, littleEndian);
  for (const [i, p] of pixdim.entries()) real(at.pixdim + r * i, p);
  const offset = c.voxOffset ?? first;
  if (version === 1) real(at.offset, offset);
  else whole(at.offset, offset);
  real(at.slope, c.slope ?? 0);
  real(at.inter, c.intercept ?? 0);
  if (version === 1) view.setUint8(at.units, c.units ?? 2);
  else view.setInt32(at.units, c.units ?? 2, littleEndian);
  const [qCode = 0, ...q] = c.qform ?? [];
  const [sCode = 0, ...s] = c.sform ?? [];
  code(at.q, qCode);
  code(at.s, sCode);
  for (const [i, v] of q.entries()) real(at.b + r * i, v);
  for (const [i, v] of s.entries()) real(at.row + r * i, v);
  for (const [i, value] of values.entries()) {
    const to = first + i * size;
    if (dtype === "float32") view.setFloat32(to, value, littleEndian);
    else if (dtype === "float64") view.setFloat64(to, value, littleEndian);
    else if (size === 8) view.setBigInt64(to, BigInt(value), littleEndian);
    else if (size === 4) view.setUint32(to, value >>> 0, littleEndian);
    else if (size === 2) view.setUint16(to, value & 0xffff, littleEndian);
    else view.setUint8(to, value & 0xff);
  }
  return new Uint8Array(view.buffer);
}
