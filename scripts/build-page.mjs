/** @file Builds the studio's page with Vite: one script and one style, named by their content, that fetch nothing from elsewhere. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {{ outDir?: string }} [options] default: dist/studio/site, where the server looks for it
 * @returns {Promise<void>}
 */
export async function buildPage({ outDir = join(root, "dist", "studio", "site") } = {}) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    root: join(root, "src", "studio", "page"),
    base: "./",
    logLevel: "warn",
    publicDir: false,
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      // The policy of the page allows nothing inline.
      assetsInlineLimit: 0,
      modulePreload: false,
      cssCodeSplit: false,
      reportCompressedSize: false,
    },
  });
}
