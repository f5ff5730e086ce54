/** @file Whether there is WebGPU, apart from everything large, so that a page can offer it before anything is loaded. */

/** Whether this context has WebGPU with a device to offer. */
export async function hasWebGpu(): Promise<boolean> {
  // Not in every browser, and not in TypeScript's library yet.
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: { requestAdapter(): Promise<unknown> } };
  if (gpu === undefined) return false;
  return (await gpu.requestAdapter().catch(() => null)) !== null;
}
