/** @file For tests: small compressed DICOM files, made by the encoders beside the decoders that are tested. */
import * as dcmjsCodecs from "dcmjs-codecs";
import { craft } from "./crafted.testing.js";

const { Context, NativeCodecs } = dcmjsCodecs;
await NativeCodecs.initializeAsync();

export const [rows, columns] = [11, 13];

const grey16 = Uint16Array.from({ length: rows * columns }, (_, i) => ((i * i * 7) % 4000) + (i % 3));
const grey8 = Uint8Array.from(grey16, (v) => v >> 4);
const rgb = Uint8Array.from({ length: 3 * rows * columns }, (_, i) => (i * 5) % 256);

interface Pixels {
  readonly data: Uint8Array | Uint16Array;
  readonly stored: number;
  readonly samples: 1 | 3;
}
const images = {
  "12 bits": { data: grey16, stored: 12, samples: 1 },
  "8 bits": { data: grey8, stored: 8, samples: 1 },
  colours: { data: rgb, stored: 8, samples: 3 },
} as const satisfies Record<string, Pixels>;

type Encode = (
  context: dcmjsCodecs.Context,
  parameters: { lossy?: boolean; predictor?: number },
) => dcmjsCodecs.Context;

function encode(syntax: string, how: Encode, image: keyof typeof images, lossy: boolean) {
  const { data, stored, samples }: Pixels = images[image];
  const allocated = data instanceof Uint8Array ? 8 : 16;
  const photometric = samples === 3 ? "RGB" : "MONOCHROME2";
  const context = how.call(
    NativeCodecs,
    new Context({
      width: columns,
      height: rows,
      bitsAllocated: allocated,
      bitsStored: stored,
      samplesPerPixel: samples,
      pixelRepresentation: 0,
      planarConfiguration: 0,
      photometricInterpretation: photometric,
      decodedBuffer: new Uint8Array(data.buffer),
    }),
    { lossy },
  );
  const frame = context.getEncodedBuffer() ?? new Uint8Array(0);
  const bytes = craft(
    {
      Rows: rows,
      Columns: columns,
      SamplesPerPixel: samples,
      PhotometricInterpretation: context.getPhotometricInterpretation() ?? photometric,
      BitsAllocated: allocated,
      BitsStored: stored,
      HighBit: stored - 1,
      PixelData: { fragments: [frame] },
    },
    { syntax },
  );
  return { name: `${syntax}, ${image}`, syntax, bytes, lossy, pixels: data };
}

const { encodeJpeg, encodeJpegLs, encodeJpeg2000, encodeHtJpeg2000, encodeRle } = NativeCodecs;

/** One file for each transfer syntax and kind of image. */
export const encoded = [
  encode("1.2.840.10008.1.2.4.70", encodeJpeg, "12 bits", false),
  encode("1.2.840.10008.1.2.4.70", encodeJpeg, "8 bits", false),
  encode("1.2.840.10008.1.2.4.50", encodeJpeg, "8 bits", true),
  encode("1.2.840.10008.1.2.4.80", encodeJpegLs, "12 bits", false),
  encode("1.2.840.10008.1.2.4.80", encodeJpegLs, "colours", false),
  encode("1.2.840.10008.1.2.4.90", encodeJpeg2000, "12 bits", false),
  encode("1.2.840.10008.1.2.4.90", encodeJpeg2000, "colours", false),
  encode("1.2.840.10008.1.2.4.201", encodeHtJpeg2000, "12 bits", false),
  encode("1.2.840.10008.1.2.4.201", encodeHtJpeg2000, "colours", false),
  encode("1.2.840.10008.1.2.5", encodeRle, "12 bits", false),
  encode("1.2.840.10008.1.2.5", encodeRle, "colours", false),
] as const;
