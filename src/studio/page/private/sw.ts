/**
 * @file The service worker of the static page: keeps its files for use offline, refuses every request to another origin, and gives
 * every answer the page's policy, so that workers – which do not inherit it from a page – can ask nobody else either.
 */

/** Filled in by scripts/build-private.mjs: this build's name, its policy, and its files. */
declare const __METALR_PAGE__: { readonly version: string; readonly policy: string; readonly files: readonly string[] };

/** The parts of a service worker's global that are used; TypeScript keeps them in a library that does not go with the page's. */
interface Worker {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate" | "message", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetched) => void): void;
}
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetched extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response> | Response): void;
}
const worker = self as unknown as Worker; // a service worker is what loads this file

const { version, policy, files } = __METALR_PAGE__;
const cacheName = `metalr-${version}`;
const addressOf = (file: string): string => new URL(file, worker.registration.scope).href;
/** WebGPU's runtime is large and seldom wanted: it is kept when it is first used. */
const first = files.filter((file) => !/asyncify|webgpu/.test(file));
const known = new Set(files.map(addressOf));

worker.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(cacheName);
      await cache.addAll(first.map((file) => new Request(addressOf(file), { cache: "reload" })));
      await worker.skipWaiting();
    })(),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith("metalr-") && name !== cacheName) await caches.delete(name);
      }
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener("message", (event) => event.waitUntil(worker.clients.claim()));

function guardedAnswer(answer: Response): Response {
  const headers = new Headers(answer.headers);
  headers.set("content-security-policy", policy);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.set("referrer-policy", "no-referrer");
  headers.set("x-content-type-options", "nosniff");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (url.origin !== location.origin) return Response.error();
  url.search = "";
  url.hash = "";
  const address = request.mode === "navigate" ? addressOf("index.html") : url.href;
  const cache = await caches.open(cacheName);
  const kept = await cache.match(address);
  if (kept !== undefined) return guardedAnswer(kept);
  if (!known.has(address)) return Response.error(); // the page has no other files, and asks for none
  const fresh = await fetch(address);
  if (fresh.ok) await cache.put(address, fresh.clone());
  return guardedAnswer(fresh);
}

worker.addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
