/** @file Reads NIfTI volumes: .nii and .nii.gz, NIfTI-1 and NIfTI-2, either byte order, any number of axes. */
import { UsageError } from "../../common/errors.js";
import { arrayTypes, type DataOf } from "../../common/tensor.js";
import { allocate } from "../../formats/bytes.js";
import { largestRatio } from "../../formats/inflated.js";
import type { Platform } from "../../platform/types.js";
import { gunzipHead, isGzip } from "../bounded-inflate.js";
import type { RawImage } from "../types.js";
import { axisCodes, headBytes, type NiftiHeader, type NiftiType, readNiftiHeader } from "./_header.js";

export type { Affine, NiftiHeader, NiftiType } from "./_header.js";

export interface NiftiVolume extends NiftiHeader {
  readonly name: string;
  /** "RAS", "LAS", …: to where x, y and z grow; null where the affine does not tell. */
  readonly axes: string | null;
  /** As stored, x running fastest: element x + X·(y + Y·(z + Z·t)). In other words C order of `shape` reversed. */
  readonly raw: DataOf[NiftiType];
  /** Values: raw · slope + intercept, computed in float64, kept in float32; a new array, in the order of `raw`. */
  scaled(): Float32Array;
  /** Volumes along all axes after the third. */
  readonly volumes: number;
  /** Volume t as an image of one channel: depth z, height y, width x. */
  volume(t?: number): RawImage;
}

/** Trailing bytes that an unpacked file may have behind its voxels. */
const slack = 2 ** 20;

/**
 * The head alone.
 * @param bytes the file, or enough of its beginning: 544 bytes, some kilobytes where it is gzip
 * @param size of the whole file
 * @throws {FileError | DataError} as `readNifti`
 */
export function describeNifti(bytes: Uint8Array, size: number, name: string): NiftiHeader {
  if (!isGzip(bytes)) return readNiftiHeader(bytes, size, name);
  return readNiftiHeader(gunzipHead(bytes, headBytes, name), size * largestRatio, name);
}

/** Voxels in the machine's order; a view where the bytes already lie right, else a copy. */
function voxels(bytes: Uint8Array, header: NiftiHeader, name: string): DataOf[NiftiType] {
  const type = arrayTypes[header.dtype];
  const size = type.BYTES_PER_ELEMENT;
  const count = header.shape.reduce((n, d) => n * d, 1);
  const at = bytes.byteOffset + header.offset;
  if (bytes.buffer instanceof ArrayBuffer && at % size === 0 && (header.littleEndian || size === 1)) {
    return new type(bytes.buffer, at, count);
  }
  const copy = allocate(count * size, name);
  copy.set(bytes.subarray(header.offset, header.offset + count * size));
  if (!header.littleEndian) {
    for (let i = 0; i < copy.length; i += size) copy.subarray(i, i + size).reverse();
  }
  return new type(copy.buffer, 0, count);
}

/**
 * Reads a NIfTI file.
 *
 * @param bytes the whole file, packed or not; `raw` may share its memory
 * @param platform unpacks gzip; no more comes out than the head needs
 * @throws {FileError} not NIfTI, a .hdr/.img pair, truncated, damaged
 * @throws {DataError} naming the field of the head that makes no sense or is not read
 */
export async function readNifti(
  bytes: Uint8Array,
  name: string,
  platform: Pick<Platform, "inflate">,
): Promise<NiftiVolume> {
  let whole = bytes;
  if (isGzip(bytes)) {
    const { dtype, shape, offset } = describeNifti(bytes, bytes.length, name);
    const needed = shape.reduce((n, d) => n * d, arrayTypes[dtype].BYTES_PER_ELEMENT) + offset;
    whole = await platform.inflate(bytes, "gzip", needed + slack, name);
  }
  const header = readNiftiHeader(whole, whole.length, name);
  const raw = voxels(whole, header, name);
  const [width = 1, height = 1, depth = 1, ...later] = header.shape;
  const volumes = later.reduce((n, d) => n * d, 1);
  const { slope, intercept } = header;
  const values = (from: number, to: number): Float32Array => {
    const out = new Float32Array(allocate(4 * (to - from), name).buffer);
    for (let i = from; i < to; i++) out[i - from] = Number(raw[i]) * slope + intercept;
    return out;
  };
  return {
    ...header,
    name,
    axes: axisCodes(header.affine),
    raw,
    scaled: () => values(0, raw.length),
    volumes,
    volume(t = 0) {
      if (!Number.isInteger(t) || t < 0 || t >= volumes) {
        throw new UsageError(name, { problem: "has no such volume", expected: `0 to ${volumes - 1}`, got: String(t) });
      }
      const size = width * height * depth;
      return { channels: 1, depth, height, width, data: values(t * size, (t + 1) * size) };
    },
  };
}
