/** @file The built page, in memory (WebAssembly apart, which is large and seldom asked for): a request can name one of these files and nothing else on the disk. */
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Beside the compiled server; seen from the sources, in dist/ as well. */
const builtPage = (): string =>
  fileURLToPath(
    import.meta.url.endsWith(".ts")
      ? new URL("../../../dist/studio/site/", import.meta.url)
      : new URL("../site/", import.meta.url),
  );

/**
 * Every file of the built page by its path, "assets/index-1a2b.js".
 * @param folder default: where `npm run build` puts it
 * @returns empty where it is not built
 */
export async function loadAssets(folder = builtPage()): Promise<ReadonlyMap<string, Asset>> {
  const found = new Map<string, Asset>();
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  for (const name of names) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const read = () => new Uint8Array(readFileSync(join(folder, name)));
    const kept = name.endsWith(".wasm") ? null : read();
    const asset: Asset = {
      type,
      get bytes() {
        return kept ?? read();
      },
    };
    found.set(name.replaceAll("\\", "/"), asset);
  }
  return found;
}

/** The first page with the token in the addresses of its script and style: a browser asks for these by itself. */
export function withToken(index: Asset, token: string): Asset {
  const html = new TextDecoder().decode(index.bytes);
  const linked = html.replace(
    /(src|href)="(\.\/[^"?]+)"/g,
    (_, name: string, path: string) => `${name}="${path}?token=${token}"`,
  );
  return { type: index.type, bytes: new TextEncoder().encode(linked) };
}
