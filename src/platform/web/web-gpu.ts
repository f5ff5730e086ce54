/** @file Whether there is WebGPU, apart from everything large, so that a page can offer it before anything is loaded. */

/**
 * "software" is an adapter that the processor imitates: it computes the same, hundreds of times slower than WebAssembly on a network of
 * any size.
 */
export type WebGpu = "hardware" | "software" | "none";

/** The parts of an adapter that are looked at; TypeScript's library does not have it yet, and browsers have not all of it. */
interface Adapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: { readonly isFallbackAdapter?: boolean } & Readonly<
    Record<"vendor" | "architecture" | "device" | "description", string>
  >;
}

const imitations = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** What this context has of WebGPU. */
export async function webGpu(): Promise<WebGpu> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: { requestAdapter(): Promise<Adapter | null> } };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) return "none";
  const { info, isFallbackAdapter } = adapter;
  const named = [info?.vendor, info?.architecture, info?.device, info?.description].join(" ");
  return isFallbackAdapter || info?.isFallbackAdapter || imitations.test(named) ? "software" : "hardware";
}

/** Whether this context has WebGPU with a device to offer, of whichever kind. */
export const hasWebGpu = async (): Promise<boolean> => (await webGpu()) !== "none";
