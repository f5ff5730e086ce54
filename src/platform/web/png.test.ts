/** @file PNG in browsers gives the pixels that Node gives: every kind that sharp writes, and what is refused. (Node has the browser's streams.) */
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodeImages } from "../node/images.js";
import { plainJpeg, webImages } from "./images.js";

/** 37 × 21: odd sizes leave rows that end within a byte, and passes of an interlaced image that are empty at the edge. */
const [width, height] = [37, 21];
const values = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * i * 31 + 7 * i) % 256);
const raw = (channels: 1 | 2 | 3 | 4) => sharp(values(width * height * channels), { raw: { width, height, channels } });
const deep = (channels: 1 | 3) =>
  sharp(
    Uint16Array.from({ length: width * height * channels }, (_, i) => (i * 977 + i * i) % 65536),
    { raw: { width, height, channels } },
  ).toColourspace(channels === 1 ? "grey16" : "rgb16");

describe("the same pixels as on Node", () => {
  test.each<readonly [string, () => Promise<Buffer>]>([
    ["grey", () => raw(1).toColourspace("b-w").png().toBuffer()],
    ["grey with alpha", () => raw(2).toColourspace("b-w").png().toBuffer()],
    ["RGB", () => raw(3).png({ adaptiveFiltering: true }).toBuffer()],
    ["RGBA: alpha is dropped, not blended", () => raw(4).png({ adaptiveFiltering: true }).toBuffer()],
    ["a palette of 256", () => raw(3).png({ palette: true }).toBuffer()],
    ["a palette of 16: four bits a pixel", () => raw(3).png({ palette: true, colours: 16 }).toBuffer()],
    ["a palette of 4: two bits a pixel", () => raw(3).png({ palette: true, colours: 4 }).toBuffer()],
    ["16-bit grey", () => deep(1).png().toBuffer()],
    ["16-bit RGB", () => deep(3).png().toBuffer()],
    ["interlaced", () => raw(3).png({ progressive: true, adaptiveFiltering: true }).toBuffer()],
    ["interlaced, 16-bit grey", () => deep(1).png({ progressive: true }).toBuffer()],
  ])("%s", async (_, make) => {
    const bytes = new Uint8Array(await make());
    const [mine, node] = [await webImages.decode(bytes, "a.png"), await nodeImages.decode(bytes, "a.png")];
    expect([mine.width, mine.height, mine.channels, mine.data.constructor.name]).toEqual([
      node.width,
      node.height,
      node.channels,
      node.data.constructor.name,
    ]);
    expect(mine.data).toEqual(node.data);
  });

  test("a bitmap", async () => {
    const bmp = new Uint8Array(58);
    bmp.set([0x42, 0x4d, 0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24]);
    bmp.set([1, 2, 3], 54);
    expect((await webImages.decode(bmp, "a.bmp")).data).toEqual(Uint8Array.of(3, 2, 1));
  });
});

describe("what cannot be read is said", () => {
  const decode = (bytes: Uint8Array) => messageOf(() => webImages.decode(bytes, "a.png"));
  const broken = "a.png: the image is damaged or truncated\n  hint     copy or export it again";

  test("truncated anywhere, and with any byte of its pixels changed", async () => {
    const png = new Uint8Array(await raw(3).png().toBuffer());
    for (const length of [9, 33, 60, png.length - 1]) expect(await decode(png.subarray(0, length))).toBe(broken);
    const changed = png.slice();
    changed[80] = (changed[80] ?? 0) ^ 1;
    expect(await decode(changed)).toBe(broken);
  });

  test("a TIFF names a way out; text is no image", async () => {
    const tiff = new Uint8Array(await raw(3).tiff().toBuffer());
    expect(await decode(tiff)).toBe(
      "a.png: is not an image that browsers read\n  expected PNG, JPEG, WebP, BMP or GIF\n  got      a TIFF image\n" +
        "  hint     save it as PNG, which keeps all of its 16 bits",
    );
    expect(await decode(new TextEncoder().encode("hello"))).toContain("got      text");
  });
});

test("a JPEG goes to the browser without its orientation and profile, which Node does not act on either", async () => {
  const jpeg = new Uint8Array(await raw(3).withMetadata({ orientation: 6 }).jpeg().toBuffer());
  const { bytes, components } = plainJpeg(jpeg);
  expect(components).toBe(3);
  expect(bytes.length).toBeLessThan(jpeg.length);
  expect((await sharp(bytes).metadata()).orientation).toBeUndefined();
  expect((await nodeImages.decode(bytes, "a.jpg")).data).toEqual((await nodeImages.decode(jpeg, "a.jpg")).data);
  const grey = new Uint8Array(await raw(1).toColourspace("b-w").jpeg().toBuffer());
  expect(plainJpeg(grey).components).toBe(1);
});
