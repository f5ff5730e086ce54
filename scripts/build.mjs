/** @file Builds dist/ from src/, the studio's page in it, and makes the command executable; `npm ci` runs it, so that `npx metalr` works in a fresh checkout. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPage } from "./build-page.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Path of the TypeScript compiler, or null where the development packages are left out (`npm ci --omit=dev`). */
function compiler() {
  try {
    return createRequire(import.meta.url).resolve("typescript/bin/tsc");
  } catch {
    return null;
  }
}

const tsc = compiler();
if (tsc === null) {
  console.error(
    "metalr: dist/ is not built, because TypeScript is not installed (npm ci without --omit=dev installs it)",
  );
} else {
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
  const bin = join(root, "dist", "cli", "bin.js");
  // tsc writes plain files; npm links the command without touching its mode when the file appears after linking.
  if (existsSync(bin)) chmodSync(bin, 0o755);
  process.exitCode = status ?? 1;
  await buildPage();
}
