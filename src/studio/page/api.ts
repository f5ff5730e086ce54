/** @file Requests to the studio's server, with the token of the page's own address. */
import type { Refusal } from "../protocol.js";

const token = (): string => new URLSearchParams(location.search).get("token") ?? "";

/** An address of the server with the token in it, for links and streams, which send no headers. */
export function address(path: string, query: Readonly<Record<string, string>> = {}): string {
  return `.${path}?${new URLSearchParams({ ...query, token: token() }).toString()}`;
}

/** What the server answers, or in words why it does not. */
export type Answer<T> = { readonly ok: T } | { readonly refused: Refusal };

async function ask<T>(path: string, query: Readonly<Record<string, string>>, init: RequestInit): Promise<Answer<T>> {
  try {
    const response = await fetch(address(path, query), init);
    const body: unknown = await response.json();
    return response.ok ? { ok: body as T } : { refused: body as Refusal }; // both as src/studio/protocol.ts says
  } catch {
    return { refused: { problem: "the studio does not answer", hint: "it may have been ended where it was started" } };
  }
}

export const get = <T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<Answer<T>> =>
  ask<T>(path, query, {});

export const post = <T>(path: string, values: Readonly<Record<string, string>> = {}): Promise<Answer<T>> =>
  ask<T>(
    path,
    {},
    { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ values }) },
  );

/** Milliseconds for which a page that nobody sees keeps its streams: a browser opens six to one server, for all its tabs. */
const UNSEEN = 10_000;

/**
 * Listens to a stream for as long as the returned function is not called; a broken one is opened anew. A page in a hidden tab
 * lets go of it, and takes it up when it is seen again: streams begin with everything there is.
 * @param state called when the stream is lost and when it is back
 */
export function listen<T>(
  path: string,
  query: Readonly<Record<string, string>>,
  take: (message: T) => void,
  state: (open: boolean) => void = () => {},
): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    if (source !== null) return;
    source = new EventSource(address(path, query));
    source.onopen = () => state(true);
    source.onerror = () => state(false);
    source.onmessage = (event: MessageEvent<string>) => take(JSON.parse(event.data) as T); // as src/studio/protocol.ts says
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const seen = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(close, UNSEEN);
    else open();
  };
  open();
  seen();
  document.addEventListener("visibilitychange", seen);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    close();
  };
}
