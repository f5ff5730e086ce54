import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { crc32 } from "../../formats/crc32.js";
import { messageOf } from "../../formats/messages.testing.js";
import { nodeImages } from "./images.js";

/** 2×1 pixels. */
const raw = (channels: 1 | 2 | 3 | 4, values: number[]) =>
  sharp(Uint8Array.from(values), { raw: { width: 2, height: 1, channels } });
const decode = (bytes: Uint8Array) => nodeImages.decode(bytes, "a.img");
const shown = async (bytes: Uint8Array) => {
  const { width, height, channels, data } = await decode(bytes);
  return `${data.constructor.name} ${width}×${height}×${channels}: ${data.join(" ")}`;
};

describe("pictures come out as PIL shows them", () => {
  test("RGB, grey", async () => {
    expect(await shown(await raw(3, [1, 2, 3, 4, 5, 6]).png().toBuffer())).toBe("Uint8Array 2×1×3: 1 2 3 4 5 6");
    expect(await shown(await raw(1, [7, 8]).toColourspace("b-w").png().toBuffer())).toBe("Uint8Array 2×1×1: 7 8");
    expect(await shown(await raw(3, [9, 9, 9, 8, 8, 8]).webp({ lossless: true }).toBuffer())).toBe(
      "Uint8Array 2×1×3: 9 9 9 8 8 8",
    );
  });

  test("alpha is dropped, not blended; palettes are expanded", async () => {
    expect(await shown(await raw(4, [200, 100, 50, 0, 4, 5, 6, 128]).png().toBuffer())).toBe(
      "Uint8Array 2×1×3: 200 100 50 4 5 6",
    );
    expect(await shown(await raw(3, [255, 0, 0, 0, 0, 255]).png({ palette: true }).toBuffer())).toBe(
      "Uint8Array 2×1×3: 255 0 0 0 0 255",
    );
  });

  test("16-bit stays 16-bit, in one channel and in three", async () => {
    const grey = await sharp(Uint16Array.of(1000, 65535), { raw: { width: 2, height: 1, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    expect(await shown(grey)).toBe("Uint16Array 2×1×1: 1000 65535");
    const colour = await sharp(Uint16Array.of(1000, 2, 3, 65535, 5, 6), { raw: { width: 2, height: 1, channels: 3 } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect(await shown(colour)).toBe("Uint16Array 2×1×3: 1000 2 3 65535 5 6");
  });

  test("an orientation tag does not turn the picture", async () => {
    const turned = await raw(3, [1, 2, 3, 4, 5, 6]).withMetadata({ orientation: 6 }).png().toBuffer();
    expect(await shown(turned)).toBe("Uint8Array 2×1×3: 1 2 3 4 5 6");
  });
});

/** A bitmap by its parts: header fields after the size, palette, rows from the bottom padded to four bytes. */
function bmp(
  width: number,
  height: number,
  bits: number,
  palette: number[],
  rows: number[],
  compression = 0,
): Uint8Array {
  const out = new Uint8Array(54 + palette.length + rows.length);
  const view = new DataView(out.buffer);
  out.set([0x42, 0x4d]);
  view.setUint32(10, compression === 3 ? 66 : 54 + palette.length, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(28, bits, true);
  view.setUint32(30, compression, true);
  view.setUint32(46, bits <= 8 ? palette.length / 4 : 0, true);
  out.set([...palette, ...rows], 54);
  return out;
}

describe("bitmaps", () => {
  test("24 bits, from the bottom and from the top", async () => {
    const rows = [1, 2, 3, 0, 4, 5, 6, 0];
    expect(await shown(bmp(1, 2, 24, [], rows))).toBe("Uint8Array 1×2×3: 6 5 4 3 2 1");
    expect(await shown(bmp(1, -2, 24, [], rows))).toBe("Uint8Array 1×2×3: 3 2 1 6 5 4");
  });

  test("palettes of 8, 4 and 1 bits; a grey one gives one channel", async () => {
    const colours = [3, 2, 1, 0, 6, 5, 4, 0];
    expect(await shown(bmp(2, 1, 8, colours, [1, 0, 0, 0]))).toBe("Uint8Array 2×1×3: 4 5 6 1 2 3");
    expect(await shown(bmp(3, 1, 4, colours, [0x10, 0x10, 0, 0]))).toBe("Uint8Array 3×1×3: 4 5 6 1 2 3 4 5 6");
    const greys = [0, 0, 0, 0, 255, 255, 255, 0];
    expect(await shown(bmp(9, 1, 1, greys, [0b10100000, 0b10000000, 0, 0]))).toBe(
      "Uint8Array 9×1×1: 255 0 255 0 0 0 0 0 255",
    );
  });

  test("16 bits, 32 bits and bit fields", async () => {
    expect(await shown(bmp(1, 1, 16, [], [0x1f, 0x7c, 0, 0]))).toBe("Uint8Array 1×1×3: 255 0 255");
    expect(await shown(bmp(1, 1, 32, [], [1, 2, 3, 9]))).toBe("Uint8Array 1×1×3: 3 2 1");
    const masks = [0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0]; // 5-6-5
    expect(await shown(bmp(1, 1, 16, [], [...masks, 0xe0, 0xff, 0, 0], 3))).toBe("Uint8Array 1×1×3: 255 255 0");
  });

  test("every prefix, run-length coding and impossible sizes are refused", async () => {
    const whole = bmp(2, 1, 8, [3, 2, 1, 0, 6, 5, 4, 0], [1, 0, 0, 0]);
    for (let n = 2; n < whole.length; n++)
      expect(await messageOf(() => decode(whole.subarray(0, n)))).toMatch(/^a.img: /);
    expect(await messageOf(() => decode(bmp(1, 1, 8, [], [0, 0, 0, 0], 1)))).toBe(
      "a.img: is a bitmap of a kind that is not read\n  expected no compression\n  got      compression 1",
    );
    expect(await messageOf(() => decode(bmp(100000, 100000, 24, [], [])))).toBe(
      "a.img: the image is too large\n  expected at most 100,000,000 pixels\n  got      100000 × 100000\n" +
        "  hint     cut it into tiles or make it smaller",
    );
    expect(await messageOf(() => decode(bmp(2, 1, 8, [3, 2, 1, 0], [1, 0, 0, 0])))).toContain("a colour below 1");
  });
});

describe("what is not a picture", () => {
  test("another kind of file", async () => {
    expect(await messageOf(() => decode(new TextEncoder().encode("hello")))).toBe(
      "a.img: is not a readable image\n  expected PNG, JPEG, WebP, TIFF, BMP or GIF\n  got      text",
    );
  });

  test("a truncated picture", async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    const picture = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    for (const bytes of [await picture.png().toBuffer(), await picture.jpeg().toBuffer()]) {
      expect(await messageOf(() => decode(bytes.subarray(0, bytes.length / 2)))).toBe(
        "a.img: the image is damaged or truncated\n  hint     copy or export it again",
      );
    }
  });

  test("pixels that are no whole numbers", async () => {
    // width, height, bits, compression, photometric, strip offset, samples, rows, strip bytes, sample format (float)
    const tags = [256, 2, 257, 1, 258, 32, 259, 1, 262, 1, 273, 134, 277, 1, 278, 1, 279, 8, 339, 3];
    const tiff = new Uint8Array(142);
    const view = new DataView(tiff.buffer);
    tiff.set([0x49, 0x49, 42, 0, 8, 0, 0, 0, tags.length / 2]);
    for (let i = 0; i < tags.length / 2; i++) {
      view.setUint16(10 + 12 * i, tags[2 * i]!, true); // pairs
      view.setUint16(12 + 12 * i, 3, true);
      view.setUint32(14 + 12 * i, 1, true);
      view.setUint32(18 + 12 * i, tags[2 * i + 1]!, true);
    }
    expect(await messageOf(() => decode(tiff))).toBe(
      "a.img: has pixels that are not 8- or 16-bit whole numbers\n  expected uchar or ushort\n  got      float\n" +
        "  hint     save it as 16-bit PNG, or its pixels as .npy",
    );
  });

  test("more pixels than the limit", async () => {
    const png = Uint8Array.from([
      ...[0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52],
      ...[0, 1, 0, 0, 0, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], // 65536 × 65536, 8-bit grey, room for the checksum
      ...[0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54, 0x35, 0xaf, 6, 0x1e],
    ]);
    new DataView(png.buffer).setUint32(29, crc32(png.subarray(12, 29)));
    expect(await messageOf(() => decode(png))).toMatch(
      /^a.img: the image is too large\n {2}expected at most 100,000,000 pixels\n/,
    );
  });
});

test("many at once all come back", async () => {
  const bytes = await raw(3, [1, 2, 3, 4, 5, 6]).png().toBuffer();
  const broken = bytes.subarray(0, 20);
  const work = Array.from({ length: 40 }, (_, i) => decode(i % 3 === 0 ? broken : bytes).catch(() => null));
  const results = await Promise.all(work);
  expect(results.filter((r) => r !== null)).toHaveLength(26);
});
