/** @file Builds the studio's page with Vite: one script and one style, named by their content, that fetch nothing from elsewhere. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {{ outDir?: string }} [options] default: dist/studio/site, where the server looks for it
 * @returns {Promise<void>}
 */
export async function buildPage({ outDir = join(root, "dist", "studio", "site") } = {}) {
  const { build, mergeConfig } = await import("vite");
  const { webConfig } = await import("./build-web.mjs");
  await build(
    mergeConfig(webConfig(), {
      root: join(root, "src", "studio", "page"),
      oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
      build: { outDir, cssCodeSplit: false },
    }),
  );
}
