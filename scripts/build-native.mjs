/** @file Builds the native executor (native/*.cc) where a compiler and oneDNN's headers are, and says what to install where not. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "native");
const out = join(folder, "build");
const require = createRequire(import.meta.url);
const compiler = process.env.CXX ?? "g++";
const sanitize = process.argv.includes("--sanitize");

/** @type {(problem: string, ...lines: string[]) => never} */
const fail = (problem, ...lines) => {
  console.error([problem, ...lines.map((l) => `  ${l}`)].join("\n"));
  process.exit(1);
};

const version = await run(compiler, ["--version"]).then(
  (r) => r.stdout.split("\n")[0],
  () =>
    fail(
      `build-native: no C++ compiler ("${compiler}")`,
      "Debian, Ubuntu: apt-get install g++",
      "Fedora:         dnf install gcc-c++",
      "macOS:          brew install gcc   (and set CXX=g++-14)",
    ),
);
/** @type {(name: string, ...parts: string[]) => string} */
const include = (name, ...parts) => {
  try {
    return join(dirname(require.resolve(`${name}/package.json`)), ...parts);
  } catch {
    return fail(
      `build-native: the package ${name} is missing`,
      "npm install --no-save node-addon-api@8 node-api-headers@1",
    );
  }
};
const includes = [include("node-api-headers", "include"), include("node-addon-api")];
const extra = existsSync("/opt/homebrew/include/dnnl.hpp") ? ["-I/opt/homebrew/include", "-L/opt/homebrew/lib"] : [];
await run(compiler, [
  "-std=c++17",
  ...extra,
  "-x",
  "c++",
  "-E",
  "-o",
  "/dev/null",
  "-include",
  "dnnl.hpp",
  "/dev/null",
]).catch(() =>
  fail(
    "build-native: oneDNN's headers (dnnl.hpp) are missing",
    "Debian, Ubuntu: apt-get install libdnnl-dev",
    "Fedora:         dnf install onednn-devel",
    "macOS:          brew install onednn",
  ),
);

mkdirSync(out, { recursive: true });
const flags = [
  ...["-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp", "-Wall", "-Wextra", "-Wno-unused-parameter"],
  ...["-DNAPI_VERSION=8", "-DNODE_ADDON_API_DISABLE_DEPRECATED", ...includes.map((i) => `-I${i}`), ...extra],
  ...(sanitize ? ["-fsanitize=address", "-g", "-O1"] : []),
];
const start = Date.now();
const sources = readdirSync(folder).filter((f) => f.endsWith(".cc"));
const waiting = [...sources];
const objects = sources.map((f) => join(out, f.replace(/\.cc$/, ".o")));
const worker = async () => {
  for (let f = waiting.shift(); f; f = waiting.shift()) {
    await run(compiler, [...flags, "-c", join(folder, f), "-o", join(out, f.replace(/\.cc$/, ".o"))]).catch((e) =>
      fail(`build-native: native/${f} does not compile with ${version}`, ...String(e.stderr).split("\n").slice(0, 20)),
    );
  }
};
await Promise.all(cpus().map(worker));
const module = join(out, sanitize ? "metalr-sanitize.node" : "metalr.node");
const shared = process.platform === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared"];
// Written beside and renamed: a process that has the old module open keeps it whole.
await run(compiler, [...flags, ...shared, ...objects, "-ldnnl", "-o", `${module}.new`]).catch((e) =>
  fail("build-native: linking failed", ...String(e.stderr).split("\n").slice(0, 20)),
);
renameSync(`${module}.new`, module);
console.log(`built ${module} with ${version} in ${((Date.now() - start) / 1000).toFixed(1)} s`);
console.log("next: metalr train --executor onednn …   (or --executor auto, which takes it where it is)");
