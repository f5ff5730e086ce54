/** @file HTML by template with everything escaped, and the page around a report: self-contained, light and dark, printable. */
import { escapeXml } from "../plots/svg.js";

/** Markup that is safe to insert as it is. */
export class Html {
  constructor(readonly markup: string) {}
}

type Piece = Html | string | number | null | undefined | readonly Piece[];

function render(piece: Piece): string {
  if (piece === null || piece === undefined) return "";
  if (piece instanceof Html) return piece.markup;
  if (typeof piece === "string") return escapeXml(piece);
  if (typeof piece === "number") return String(piece);
  return piece.map(render).join("");
}

/** Every inserted text is escaped; `Html`, lists of it and null are inserted as what they are. */
export const html = (texts: TemplateStringsArray, ...pieces: readonly Piece[]): Html =>
  new Html(texts.reduce((all, text, i) => all + render(pieces[i - 1]) + text));

/** An SVG that this library made. */
export const figure = (svg: string | null, caption?: string): Html | null =>
  svg === null
    ? null
    : html`<figure>${new Html(svg)}${caption === undefined ? null : html`<figcaption>${caption}</figcaption>`}</figure>
`;

export interface HtmlColumn {
  readonly header: string;
  /** Text stands left, numbers (the default) right. */
  readonly text?: boolean;
}

export function htmlTable(columns: readonly HtmlColumn[], rows: readonly (readonly Piece[])[], caption?: string): Html {
  const cell = (piece: Piece, c: number) =>
    c === 0
      ? html`<th scope="row">${piece}</th>`
      : html`<td${columns[c]?.text ? new Html(' class="text"') : null}>${piece}</td>`;
  return html`<div class="scroll" tabindex="0"><table>${caption === undefined ? null : html`<caption>${caption}</caption>`}
<thead><tr>${columns.map(
    ({ header, text }, c) => html`<th scope="col"${c === 0 || text ? new Html(' class="text"') : null}>${header}</th>`,
  )}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody></table></div>
`;
}

/** Names and values below each other. */
export const facts = (rows: readonly (readonly [name: string, value: Piece])[]): Html =>
  html`<dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>
`;

/** Large figures side by side, each with what it is below it. */
export const tiles = (
  entries: readonly { readonly value: string; readonly label: string; readonly leaky?: boolean }[],
): Html =>
  html`<div class="tiles">${entries.map(
    ({ value, label, leaky }) =>
      html`<div${leaky ? new Html(' class="leaky"') : null}><strong>${value}</strong><span>${label}</span></div>`,
  )}</div>
`;

export const notes = (lines: readonly string[], title: string): Html | null =>
  lines.length === 0
    ? null
    : html`<section class="notes"><h2>${title}</h2><ul>${lines.map((l) => html`<li>${l}</li>`)}</ul></section>
`;

const css = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--muted:#59626d;--line:#d8dde3;--panel:#f5f7f9;--warn:#fff4e0;--warn-line:#d98a00;--warn-ink:#7a4b00}
@media screen and (prefers-color-scheme:dark){:root{--paper:#15181d;--ink:#e6e8eb;--muted:#a3adb8;--line:#343b44;--panel:#1d2127;--warn:#33260e;--warn-line:#b57a12;--warn-ink:#ffcf7d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.2rem 1.4rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.4rem 0 .7rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.4rem 0;max-width:46rem}
.lead{color:var(--muted);overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.4rem 0 .6rem}
.tiles>div{flex:1 1 9rem;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.tiles strong{display:block;font-size:1.55rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tiles span{color:var(--muted);font-size:.86rem}
.tiles .leaky{background:var(--warn);border-color:var(--warn-line)}
.tiles .leaky span{color:var(--warn-ink)}
figure{margin:.6rem 0 1.4rem;overflow-x:auto}
figure svg,figure img{display:block;max-width:100%;height:auto}
figure svg[width="920"]{min-width:36rem}
figcaption{color:var(--muted);font-size:.88rem;margin-top:.3rem;max-width:46rem}
.pair{display:flex;flex-wrap:wrap;gap:1.2rem 2rem;align-items:flex-start}
.pair>*{flex:0 1 auto;min-width:0;max-width:100%}
.scroll{overflow-x:auto;margin:.6rem 0 1.2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.93rem}
caption{caption-side:top;text-align:left;color:var(--muted);font-size:.88rem;padding-bottom:.3rem}
th,td{padding:.28rem .85rem .28rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th[scope=row],th.text,td.text{text-align:left}
th[scope=row],td.text{white-space:normal;min-width:8.5rem}
thead th{border-bottom:1.5px solid var(--muted);font-weight:600;vertical-align:bottom}
tbody th{font-weight:400}
tr.total>*{font-weight:600}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.15rem 1.4rem;margin:.4rem 0 1rem;font-size:.93rem}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.notes{background:var(--warn);border-left:4px solid var(--warn-line);padding:.7rem 1.1rem;margin:1.4rem 0;border-radius:0 8px 8px 0}
.notes h2{margin:0 0 .3rem;font-size:1rem;color:var(--warn-ink)}
.notes ul{margin:0;padding-left:1.1rem}
code{font:.88em/1.4 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
footer{margin-top:3rem;padding-top:.8rem;border-top:1px solid var(--line);color:var(--muted);font-size:.86rem}
a{color:inherit}
@media (max-width:34rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
@page{margin:16mm 14mm}
@media print{body{font-size:10pt}table{font-size:8.5pt}.scroll th{white-space:normal;overflow-wrap:normal}.scroll :is(th,td){padding-left:.35rem;padding-right:.35rem}main{max-width:none;padding:0}figure,.tiles,.notes,.scroll,tr{break-inside:avoid}h2,h3{break-after:avoid}.scroll,figure{overflow:visible}figure svg[width="920"]{min-width:0}}
`;

/** A whole document that asks the network for nothing: its policy forbids it. */
export const page = (title: string, body: readonly (Html | null)[]): string =>
  `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<style>${new Html(css)}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.markup
  }`;
