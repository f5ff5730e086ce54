/** @file How large the static page is to load: gzip of its HTML, styles and scripts, the worker's included, ONNX Runtime's files apart. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

/** Bytes that the page promises to stay below (docs/BROWSER.md). */
export const mostBytes = 250_000;

/**
 * @param {string} folder of the built page
 * @param {readonly string[]} files paths below it
 * @returns {{ page: number, worker: number, runtime: number, bytes: number }} gzip -9: what is needed before anything can be seen, the worker
 * and all its pieces, ONNX Runtime's JavaScript, and the first two together
 */
export function pageSize(folder, files) {
  const sum = { page: 0, worker: 0, runtime: 0 };
  for (const file of files) {
    if (!/\.(html|css|js)$/.test(file)) continue;
    const size = gzipSync(readFileSync(join(folder, file)), { level: 9 }).length;
    const name = basename(file);
    if (name.startsWith("ort")) sum.runtime += size;
    else if (/^(main-|style-|index\.html|sw\.js)/.test(name)) sum.page += size;
    else sum.worker += size;
  }
  return { ...sum, bytes: sum.page + sum.worker };
}

/**
 * @param {ReturnType<typeof pageSize>} size
 * @throws {Error} above the limit
 */
export function checkPageSize({ page, worker, bytes }) {
  if (bytes <= mostBytes) return;
  throw new Error(
    `The page has grown above ${mostBytes} bytes of gzip: ${page} for the page, ${worker} for the worker, ${bytes} together, ONNX Runtime apart`,
  );
}
