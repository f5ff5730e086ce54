/**
 * @file Builds "Private fine-tune" as static files into dist/page (`npm run build:page`): a page, a training worker, ONNX Runtime's
 * WebAssembly, and a service worker that knows all of them. Any web server that sends the two isolation headers can serve the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { webConfig } from "./build-web.mjs";
import { checkPageSize, pageSize } from "./page-size.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Nothing from elsewhere, nothing inline, no frames; WebAssembly may be compiled. */
export const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'";

/** @param {string} folder */
const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();

/**
 * @param {{ outDir?: string }} [options] default: dist/page
 * @returns {Promise<string>} the folder
 * @throws {Error} a page that has grown above its limit
 */
export async function buildPrivate({ outDir = join(root, "dist", "page") } = {}) {
  const { build, mergeConfig } = await import("vite");
  const page = join(root, "src", "studio", "page", "private");
  await build(
    mergeConfig(webConfig(), {
      root: page,
      oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
      plugins: [
        {
          name: "metalr-policy",
          /** @param {string} html */
          transformIndexHtml: (html) =>
            html.replace(
              '<meta charset="utf-8">',
              `$&\n    <meta http-equiv="Content-Security-Policy" content="${policy}">`,
            ),
        },
      ],
      // ONNX Runtime's JavaScript in files of its own: that for WebGPU is loaded only where it is used.
      worker: { rolldownOptions: { output: { codeSplitting: true, chunkFileNames: "assets/[name]-[hash].js" } } },
      build: {
        outDir,
        cssCodeSplit: false,
        rolldownOptions: {
          input: { main: join(page, "index.html"), sw: join(page, "sw.ts") },
          output: {
            /** @param {{ name: string }} chunk */
            entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
          },
        },
      },
    }),
  );
  checkPageSize(pageSize(outDir, filesIn(outDir)));
  const files = filesIn(outDir).filter((file) => file !== "sw.js" && file !== "_headers");
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(outDir, file)));
  const script = join(outDir, "sw.js");
  const facts = JSON.stringify({ version: hash.digest("hex").slice(0, 16), policy, files });
  writeFileSync(script, `const __METALR_PAGE__ = ${facts};\n${readFileSync(script, "utf8")}`);
  // As Netlify, Cloudflare Pages and others read it; for other servers docs/BROWSER.md says the same.
  writeFileSync(
    join(outDir, "_headers"),
    `/*\n  Cross-Origin-Opener-Policy: same-origin\n  Cross-Origin-Embedder-Policy: require-corp\n  Content-Security-Policy: ${policy}; frame-ancestors 'none'\n`,
  );
  return outDir;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const folder = await buildPrivate();
  const size = filesIn(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  console.log(`${folder}: ${(size / 2 ** 20).toFixed(1)} MiB`);
  const { page, worker, runtime, bytes } = pageSize(folder, filesIn(folder));
  console.log(`gzip -9: page ${page} + worker ${worker} = ${bytes} bytes; ONNX Runtime's JavaScript ${runtime}`);
}
