/** @file A web server for tests: files of a folder with the two isolation headers and nothing else, and who asked for what. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

export interface TestServer {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** @param more files by their path, besides those of the folder */
export async function serve(
  folder: string,
  more: Readonly<Record<string, string | Uint8Array>> = {},
  headers: Readonly<Record<string, string>> = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  },
): Promise<TestServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    asked.push(path);
    const name = path.endsWith("/") ? `${path}index.html` : path;
    const file = join(folder, normalize(name));
    const extra = more[name.slice(1)];
    const body = extra ?? (existsSync(file) && statSync(file).isFile() ? readFileSync(file) : null);
    if (body === null) {
      response.writeHead(404, headers).end();
      return;
    }
    response
      .writeHead(200, { ...headers, "content-type": types[extname(name)] ?? "application/octet-stream" })
      .end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
