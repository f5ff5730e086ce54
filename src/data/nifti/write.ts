/** @file Writes a label volume as NIfTI with the geometry of the image that it belongs to. */
import { gzipSync } from "fflate";
import { DataError } from "../../common/errors.js";
import { headBytes, readNiftiHeader } from "./_header.js";

/** Where fields lie, by version: [offset, bytes]. Texts are cleared: they may name the patient or the operator. */
const fields = {
  1: {
    first: 352,
    dim: 40,
    datatype: 70,
    bitpix: 72,
    offset: 108,
    slope: 112,
    texts: [[4, 10], [14, 18], [148, 80], [228, 24], [328, 16]],
    numbers: [[56, 12], [68, 2], [124, 8]], // intent_p1 … p3, intent_code, cal_max and cal_min
  },
  2: {
    first: 544,
    dim: 16,
    datatype: 12,
    bitpix: 14,
    offset: 168,
    slope: 176,
    texts: [[240, 80], [320, 24], [508, 16]],
    numbers: [[80, 24], [504, 4], [192, 16]],
  },
} as const; // biome-ignore format: a table

/**
 * A .nii.gz file of classes as uint8: version, byte order, axes, voxel sizes, qform and sform are those of `image`, whose
 * texts, intent and extensions are left out. The same input gives the same bytes.
 *
 * @param image the image's own file, unpacked, or at least its first 544 bytes
 * @param labels class of every voxel, x running fastest
 * @throws {DataError} as many labels as the image's first three axes have voxels are wanted; @throws {FileError} no NIfTI file
 */
export function encodeLabelNifti(image: Uint8Array, labels: Uint8Array, name: string): Uint8Array {
  const { version, littleEndian, shape } = readNiftiHeader(image, Number.MAX_SAFE_INTEGER, name);
  const [x = 1, y = 1, z = 1] = shape;
  if (labels.length !== x * y * z) {
    throw new DataError(name, {
      problem: "labels do not fill the image",
      expected: `${x * y * z}`,
      got: `${labels.length}`,
    });
  }
  const at = fields[version];
  const file = new Uint8Array(at.first + labels.length);
  file.set(image.subarray(0, Math.min(at.first, headBytes)));
  file.fill(0, at.first - 4, at.first); // no extensions
  const view = new DataView(file.buffer);
  const count = (offset: number, value: number): void => {
    if (version === 1) view.setInt16(offset, value, littleEndian);
    else view.setBigInt64(offset, BigInt(value), littleEndian);
  };
  const wide = version === 1 ? 2 : 8;
  for (const [i, value] of [3, x, y, z, 1, 1, 1, 1].entries()) count(at.dim + wide * i, value);
  view.setInt16(at.datatype, 2, littleEndian); // DT_UINT8
  view.setInt16(at.bitpix, 8, littleEndian);
  if (version === 1) {
    view.setFloat32(at.offset, at.first, littleEndian);
    view.setFloat32(at.slope, 1, littleEndian);
    view.setFloat32(at.slope + 4, 0, littleEndian);
  } else {
    view.setBigInt64(at.offset, BigInt(at.first), littleEndian);
    view.setFloat64(at.slope, 1, littleEndian);
    view.setFloat64(at.slope + 8, 0, littleEndian);
  }
  for (const [from, length] of [...at.texts, ...at.numbers]) file.fill(0, from, from + length);
  file.set(labels, at.first);
  return gzipSync(file, { mtime: 0 });
}
