/** @file Who may ask: only a holder of the token, from this machine's own page; and what a browser may do with an answer. */
import { timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";

/** Largest body of a request, in bytes: a filled-in form is a few kilobytes. */
export const MAX_BODY = 64 * 1024;

/** Told to the terminal: why something was refused, never what was sent. */
export type Log = (line: string) => void;

const sameText = (a: string, b: string): boolean => {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
};

/**
 * Refuses, in this order: without the token (401, whatever the path), another Host than the one that listens (a web page
 * whose name was made to point here), another Origin, a body that is too large or of unknown length.
 *
 * @param port asked with every request, as it is known only after listening
 */
export function guard(options: {
  readonly token: string;
  readonly port: () => number;
  readonly log: Log;
}): MiddlewareHandler {
  const { token, port, log } = options;
  const refuse = (status: 400 | 401 | 403 | 411 | 413, why: string, method: string) => {
    log(`refused a ${/^[A-Z]{1,10}$/.test(method) ? method : "strange"} request: ${why} (${status})`);
    const text =
      status === 401 ? "401: open the address that metalr studio has printed, with its token\n" : `${status}: ${why}\n`;
    return new Response(text, {
      status,
      headers: {
        "content-type": "text/plain; charset=utf-8",
        // What is still on its way of a body is not waited for.
        connection: "close",
      },
    });
  };
  return async (c, next) => {
    const { method } = c.req;
    const bearer = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1];
    const given = bearer ?? c.req.query("token");
    if (given === undefined || !sameText(given, token)) return refuse(401, "no token, or a wrong one", method);

    const hosts = [`127.0.0.1:${port()}`, `localhost:${port()}`];
    const host = c.req.header("host") ?? "";
    if (!hosts.includes(host.toLowerCase())) return refuse(403, "another Host", method);
    const origin = c.req.header("origin");
    if (origin !== undefined && !hosts.some((h) => origin === `http://${h}`))
      return refuse(403, "another Origin", method);

    if (method === "POST") {
      const length = c.req.header("content-length");
      if (length === undefined || !/^\d{1,15}$/.test(length)) return refuse(411, "a body without its length", method);
      if (Number(length) > MAX_BODY) return refuse(413, `a body of more than ${MAX_BODY} bytes`, method);
    }
    await next();
  };
}

/** The page and its workers: nothing from elsewhere, nothing inline, no frames; WebAssembly may be compiled. */
const pagePolicy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
  "connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A file of a run, which may come from elsewhere: it styles itself and runs nothing. */
export const documentPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What a browser may do with an answer; `content-security-policy` stays where an answer has its own. */
export const headers: MiddlewareHandler = async (c, next) => {
  await next();
  const set = (name: string, value: string) => c.res.headers.set(name, value);
  if (!c.res.headers.has("content-security-policy")) set("content-security-policy", pagePolicy);
  set("cache-control", "no-store");
  set("cross-origin-opener-policy", "same-origin");
  set("cross-origin-embedder-policy", "require-corp");
  set("cross-origin-resource-policy", "same-origin");
  set("referrer-policy", "no-referrer");
  set("x-content-type-options", "nosniff");
  set("x-frame-options", "DENY");
};
