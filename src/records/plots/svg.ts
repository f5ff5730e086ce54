/** @file A small SVG writer: shapes in inks that follow a light or dark page, numbers kept short, text made safe. */
import { type Ink, inks } from "./color.js";

/**
 * "light": white background and fixed colours, for files and papers. "auto": transparent, and in a page that prefers dark
 * the colours of dark; `id` (a word) must then be unique in the page.
 */
export type Theme = { readonly mode: "light" } | { readonly mode: "auto"; readonly id: string };

export const fontFamily = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif";

export interface TextStyle {
  readonly size?: number;
  readonly ink?: Ink;
  readonly anchor?: "start" | "middle" | "end";
  readonly bold?: boolean;
  /** Degrees, clockwise, around the text's own position. */
  readonly rotate?: number;
  /** Set above the line after the text: the exponent of a power of ten. */
  readonly superscript?: string;
}

export interface LineStyle {
  readonly ink: Ink;
  readonly width?: number;
  /** "4 3": dash and gap. */
  readonly dash?: string;
  readonly dashOffset?: number;
  readonly opacity?: number;
}

/** Text for XML: markup escaped, characters that XML forbids replaced. */
export function escapeXml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids them
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
  );
}

/** At most two decimals, without trailing zeros. */
export const short = (x: number): string => String(Math.round(x * 100) / 100);

export class Svg {
  private readonly parts: string[] = [];
  private readonly classes = new Map<string, string>();
  private readonly rules: string[] = [];
  private definitions = 0;

  constructor(
    readonly width: number,
    readonly height: number,
    private readonly theme: Theme,
    /** For people who do not see the picture. */
    private readonly description: string,
  ) {
    if (theme.mode === "light") this.rect(0, 0, width, height, { ink: inks.paper });
  }

  line(x1: number, y1: number, x2: number, y2: number, style: LineStyle): void {
    const at = `x1="${short(x1)}" y1="${short(y1)}" x2="${short(x2)}" y2="${short(y2)}"`;
    this.parts.push(`<line ${at}${this.stroke(style)}/>`);
  }

  /** An open path from its `d` attribute. */
  path(d: string, style: LineStyle & { readonly clip?: string }): void {
    const clip = style.clip === undefined ? "" : ` clip-path="url(#${style.clip})"`;
    this.parts.push(
      `<path d="${d}" fill="none" stroke-linejoin="round" stroke-linecap="butt"${this.stroke(style)}${clip}/>`,
    );
  }

  rect(
    x: number,
    y: number,
    w: number,
    h: number,
    style: { ink: Ink; opacity?: number; radius?: number; tip?: string },
  ) {
    const opacity = style.opacity === undefined ? "" : ` fill-opacity="${style.opacity}"`;
    const radius = style.radius === undefined ? "" : ` rx="${style.radius}"`;
    const at = `x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}"`;
    this.close("rect", `${at}${radius}${opacity}${this.paint({ fill: style.ink })}`, style.tip);
  }

  circle(x: number, y: number, r: number, style: { ink: Ink; opacity?: number; tip?: string }): void {
    const fill = this.paint({ fill: style.ink });
    const opacity = style.opacity === undefined ? "" : ` opacity="${style.opacity}"`;
    this.close("circle", `cx="${short(x)}" cy="${short(y)}" r="${short(r)}"${opacity}${fill}`, style.tip);
  }

  text(x: number, y: number, text: string, style: TextStyle = {}): void {
    const { size = 11, ink = inks.text, anchor = "start", bold = false, rotate, superscript } = style;
    const turn = rotate === undefined ? "" : ` transform="rotate(${rotate} ${short(x)} ${short(y)})"`;
    const weight = bold ? ' font-weight="bold"' : "";
    const align = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
    const raised =
      superscript === undefined
        ? ""
        : `<tspan dy="${short(-0.42 * size)}" font-size="${short(0.74 * size)}">${escapeXml(superscript)}</tspan>`;
    this.parts.push(
      `<text x="${short(x)}" y="${short(y)}" font-size="${short(size)}"${align}${weight}${turn}${this.paint({ fill: ink })}>` +
        `${escapeXml(text)}${raised}</text>`,
    );
  }

  /** A clipping rectangle; returns its id. */
  clip(x: number, y: number, w: number, h: number): string {
    const id = `${this.prefix}clip${this.definitions++}`;
    const rect = `<rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}"/>`;
    this.parts.push(`<clipPath id="${id}">${rect}</clipPath>`);
    return id;
  }

  toString(): string {
    const { width, height } = this;
    const style =
      this.rules.length === 0
        ? ""
        : `<style>@media screen and (prefers-color-scheme:dark){${this.rules.join("")}}</style>`;
    const id = this.theme.mode === "auto" ? ` id="${this.theme.id}"` : "";
    return (
      `<svg xmlns="http://www.w3.org/2000/svg"${id} width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" ` +
      `aria-label="${escapeXml(this.description)}" font-family="${fontFamily}">${style}${this.parts.join("")}</svg>`
    );
  }

  private get prefix(): string {
    return this.theme.mode === "auto" ? `${this.theme.id}-` : "";
  }

  private close(tag: string, attributes: string, tip: string | undefined): void {
    const end = tip === undefined ? "/>" : `><title>${escapeXml(tip)}</title></${tag}>`;
    this.parts.push(`<${tag} ${attributes}${end}`);
  }

  private stroke({ ink, width = 1, dash, dashOffset, opacity }: LineStyle): string {
    return (
      `${this.paint({ stroke: ink })} stroke-width="${width}"` +
      (dash === undefined ? "" : ` stroke-dasharray="${dash}"`) +
      (dashOffset === undefined ? "" : ` stroke-dashoffset="${short(dashOffset)}"`) +
      (opacity === undefined ? "" : ` stroke-opacity="${opacity}"`)
    );
  }

  /** The light colours as attributes; in mode "auto" classes, too, whose rules override the attributes on dark pages. */
  private paint(inksOf: { readonly fill?: Ink; readonly stroke?: Ink }): string {
    let attributes = "";
    const names: string[] = [];
    for (const property of ["fill", "stroke"] as const) {
      const ink = inksOf[property];
      if (ink === undefined) continue;
      attributes += ` ${property}="${ink.light}"`;
      if (this.theme.mode === "auto") names.push(this.darkClass(property, ink, this.theme.id));
    }
    return names.length === 0 ? attributes : `${attributes} class="${names.join(" ")}"`;
  }

  private darkClass(property: string, ink: Ink, id: string): string {
    const key = `${property} ${ink.light} ${ink.dark}`;
    const known = this.classes.get(key);
    if (known !== undefined) return known;
    const name = `c${this.classes.size}`;
    this.classes.set(key, name);
    this.rules.push(`#${id} .${name}{${property}:${ink.dark}}`);
    return name;
  }
}
