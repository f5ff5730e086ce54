/** @file SVG to PNG on Node: resvg with the DejaVu fonts of a package, so that every machine draws the same picture. */
import { createRequire } from "node:module";
import { renderAsync } from "@resvg/resvg-js";
import { InternalError } from "../../common/errors.js";

const fontFile = (name: string): string => createRequire(import.meta.url).resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`);

/** 64 megapixels: 256 MB while a picture is drawn. */
const MAX_PIXELS = 64e6;

export interface RasterOptions {
  /** Pixels per unit of the SVG; default 2, which prints sharply at a column's width. */
  readonly scale?: number;
}

/** PNG bytes of an SVG made by this library. @throws {InternalError} not an SVG, or too large a picture */
export async function svgToPng(svg: string, { scale = 2 }: RasterOptions = {}): Promise<Uint8Array> {
  const size = /<svg[^>]* width="([\d.]+)" height="([\d.]+)"/.exec(svg);
  const pixels = Number(size?.[1]) * Number(size?.[2]) * scale * scale;
  if (!(pixels > 0 && pixels <= MAX_PIXELS)) {
    throw new InternalError("a picture has a size that can be drawn", {
      expected: `1 … ${MAX_PIXELS} pixels`,
      got: String(pixels),
    });
  }
  const image = await renderAsync(svg, {
    fitTo: { mode: "zoom", value: scale },
    font: {
      loadSystemFonts: false,
      fontFiles: [fontFile("DejaVuSans"), fontFile("DejaVuSans-Bold")], // without them resvg leaves text out in silence
      defaultFontFamily: "DejaVu Sans",
      sansSerifFamily: "DejaVu Sans",
    },
  });
  const png = image.asPng();
  return new Uint8Array(png.buffer, png.byteOffset, png.byteLength);
}
