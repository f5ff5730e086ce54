/** @file Waits for the service worker: it puts the page's policy on the scripts of workers, too, and keeps everything for use offline. */
import { RuntimeError } from "../../../common/errors.js";

/** Resolves once the service worker answers this page's requests. @throws {RuntimeError} where there can be none */
export async function guarded(): Promise<void> {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) {
    throw new RuntimeError("page", {
      problem: "cannot guard its workers: the browser offers no service worker here",
      expected: "https, or http on localhost, outside of a private window",
    });
  }
  const controlled = new Promise<void>((resolve) => {
    if (serviceWorker.controller !== null) resolve();
    serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
  });
  await serviceWorker.register("./sw.js", { scope: "./" });
  // A page that was reloaded past its service worker asks to be taken under control again.
  (await serviceWorker.ready).active?.postMessage("claim");
  await controlled;
}
