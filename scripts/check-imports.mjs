/**
 * @file Holds the order of imports of docs/ARCHITECTURE.md: each folder of src/ imports only from those before it, Node's
 * own modules stay where they belong, and a leading `_` keeps a file to its folder.
 *
 * Run as a program, it prints `file:line: src/graph may not import src/ops (…)` for every break and ends with 1.
 */
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/**
 * The order, earliest first; folders of one row do not know each other. `platform` is its contract (files straight in it);
 * `platform/node` and `platform/web` are the two implementations, which only the top of the order may choose from.
 */
export const order = [
  ["common"],
  ["platform"],
  ["formats"],
  ["graph"],
  ["ops"],
  ["autodiff"],
  ["onnx", "weights"],
  ["models"],
  ["methods"],
  ["compile"],
  ["runtime", "data"],
  ["training"],
  ["records"],
  ["platform/node", "platform/web"],
  ["cli/shared"],
  ["web"],
  ["studio"],
  ["studio/server"],
  ["cli"],
];

/** Files straight in src/ are the entries of the package: which of the places below each stands for. */
const entries = new Map([["index.ts", "node"]]);

/** Files of the command line that hold no Node: the options of a training and what they mean, which the browser's form shares. */
const sharedFiles = new Set([
  "cli/options.ts",
  "cli/speed.ts",
  "cli/train/fields.ts",
  "cli/train/flags.ts",
  "cli/train/method.ts",
  "cli/train/plan.ts",
  "cli/train/released.ts",
  "cli/train/segmentation.ts",
]);

/** Places that run on Node only; all others must run in a browser, too. */
const nodePlaces = new Set(["platform/node", "studio/server", "cli"]);

/** Packages that work on Node only. */
const nodePackages = [
  /^onnxruntime-node$/,
  /^sharp$/,
  /^@resvg\//,
  /^cli-progress$/,
  /^commander$/,
  /^picocolors$/,
  /^@hono\/node-server$/,
  /^piscina$/,
];

/** Names that exist on Node and not in a browser. */
const nodeGlobals = new Set(["Buffer", "process", "__dirname", "__filename", "require", "setImmediate", "global"]);

const rank = new Map(order.flatMap((row, i) => row.map((place) => [place, i])));

/** Tests may use anything of Node's and any folder; they only keep out of other folders' private files. */
const isTest = (/** @type {string} */ file) => /\.(test|testing)\.tsx?$/.test(file);

/**
 * Where a file of src/ stands in the order: "ops", "platform/node", an entry such as "index.ts", or null where src/ has
 * no such place.
 * @param {string} file path inside src/, with "/"
 */
export function placeOf(file) {
  const parts = file.split("/");
  if (sharedFiles.has(file)) return "cli/shared";
  if (parts.length === 1) {
    const entry = file.replace(/\.test\.ts$/, ".ts");
    return entries.has(entry) ? entry : null;
  }
  for (const depth of [2, 1]) {
    const place = parts.slice(0, depth).join("/");
    if (parts.length > depth && rank.has(place)) return place;
  }
  return null;
}

/** Whether code of this place may lean on Node. */
const onNode = (/** @type {string} */ place) => nodePlaces.has(place) || entries.get(place) === "node";

/** Whether `name` is one of Node's own modules, with or without "node:". */
const isBuiltin = (/** @type {string} */ name) =>
  name.startsWith("node:") || builtinModules.includes(name.split("/")[0] ?? name);

/**
 * Why a file may not import a module, or null where it may.
 * @param {string} file the importing file, inside src/, with "/"
 * @param {string} target the specifier as written
 * @returns {string | null}
 */
export function objection(file, target) {
  const from = placeOf(file);
  if (from === null) return `src/${file} is in no folder of the order (docs/ARCHITECTURE.md)`;
  const test = isTest(file);

  if (!target.startsWith(".")) {
    if (test) return null;
    if (isBuiltin(target) || nodePackages.some((p) => p.test(target))) {
      if (!onNode(from))
        return `src/${from} may not import ${target} (Node only: platform/node, cli, studio/server and index.ts)`;
    } else if (/^onnxruntime-(?!.*\?url$)/.test(target) && !(from === "runtime" && target === "onnxruntime-common")) {
      // onnxruntime-common is the API that both share: the runtime knows it, and is given the module that implements it.
      // "…?url" is the address of a file and no code.
      if (!from.startsWith("platform/") && !onNode(from)) {
        return `src/${from} may not import ${target} (ONNX Runtime stands behind an interface; platform/node and platform/web bring it)`;
      }
    }
    return null;
  }

  const path = posix.join(posix.dirname(file), target);
  if (path.startsWith("..")) return test ? null : `src/${from} may not import ${target} (outside of src/)`;
  const to = placeOf(path.replace(/\.js$/, ".ts").replace(/\.jsx$/, ".tsx"));
  if (to === null) return `src/${from} may not import ${target} (src/${path} is in no folder of the order)`;

  const parts = path.split("/");
  const secret = parts.findIndex((part) => part.startsWith("_"));
  if (secret >= 0) {
    const owner = parts.slice(0, secret).join("/");
    // The folder's own files, and the one beside it that is its front: compile/blocked.ts for compile/blocked/.
    if (!`${posix.dirname(file)}/`.startsWith(`${owner}/`) && file.replace(/(\.test)?\.tsx?$/, "") !== owner) {
      return `src/${from} may not import src/${path} (a leading _ keeps it to src/${owner})`;
    }
  }

  if (test || from === to) return null;
  if (entries.has(to))
    return `src/${from} may not import src/${to} (an entry of the package: nothing in src/ imports it)`;
  if (nodePlaces.has(to) && !onNode(from)) return `src/${from} may not import src/${to} (it runs on Node only)`;
  if (to.startsWith("platform/") && !onNode(from) && from !== "web" && from !== "studio") {
    return `src/${from} may not import src/${to} (ask for the interface of src/platform/types.ts instead)`;
  }
  if (entries.has(from)) return null;
  // Every place that is no entry has a rank.
  const [a, b] = [rank.get(from) ?? 0, rank.get(to) ?? 0];
  if (b < a) return null;
  const why = b === a ? "neither comes before the other" : `${from} comes before ${to}`;
  return `src/${from} may not import src/${to} (${why})`;
}

/**
 * Every module that a source names (import, import type, export from, import(), import("…") as a type, require) and every
 * Node global that it uses without declaring it.
 * @param {string} file for the parser: decides between .ts and .tsx
 * @param {string} source
 */
export function dependencies(file, source) {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  /** @type {{ module: string, line: number }[]} */
  const imports = [];
  /** @type {{ name: string, line: number }[]} */
  const globals = [];
  const declared = new Set();
  const line = (/** @type {ts.Node} */ node) => tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
  const named = (/** @type {ts.Node | undefined} */ node) => {
    if (node !== undefined && ts.isStringLiteralLike(node)) imports.push({ module: node.text, line: line(node) });
  };

  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) named(node.moduleSpecifier);
    else if (ts.isExternalModuleReference(node)) named(node.expression);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) named(node.argument.literal);
    else if (ts.isCallExpression(node)) {
      const callee = node.expression;
      const loads =
        callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === "require");
      if (loads) named(node.arguments[0]);
    } else if (ts.isIdentifier(node) && nodeGlobals.has(node.text)) {
      const { parent } = node;
      // `x.process`, `{ process: 1 }`, `process?: string` name a property, not the global.
      const property =
        (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
        ((ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isPropertyDeclaration(parent)) &&
          parent.name === node) ||
        ts.isPropertySignature(parent) ||
        ts.isMethodSignature(parent);
      const declares =
        (ts.isVariableDeclaration(parent) || ts.isParameter(parent) || ts.isFunctionDeclaration(parent)) &&
        parent.name === node;
      if (declares || ts.isBindingElement(parent) || ts.isImportSpecifier(parent)) declared.add(node.text);
      else if (!property) globals.push({ name: node.text, line: line(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return { imports, globals: globals.filter((g) => !declared.has(g.name)) };
}

/**
 * The breaks in one file, as lines to print.
 * @param {string} file inside src/, with "/"
 * @param {string} source
 * @returns {string[]}
 */
export function checkFile(file, source) {
  const { imports, globals } = dependencies(file, source);
  const problems = imports.flatMap(({ module, line }) => {
    const why = objection(file, module);
    return why === null ? [] : [{ line, why }];
  });
  const from = placeOf(file);
  if (from !== null && !onNode(from) && !isTest(file)) {
    for (const { name, line } of globals) {
      problems.push({ line, why: `src/${from} may not use ${name} (Node only; a browser runs this folder, too)` });
    }
  }
  if (from === null && imports.length === 0)
    problems.push({ line: 1, why: `src/${file} is in no folder of the order (docs/ARCHITECTURE.md)` });
  return problems.sort((a, b) => a.line - b.line).map(({ line, why }) => `src/${file}:${line}: ${why}`);
}

/**
 * The breaks under a folder, sorted by file.
 * @param {string} src path of src/
 */
export function checkTree(src) {
  const files = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
  return {
    files: files.length,
    problems: files.flatMap((file) => checkFile(file, readFileSync(join(src, file), "utf8"))),
  };
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { files, problems } = checkTree(join(dirname(dirname(fileURLToPath(import.meta.url))), "src"));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`Imports of ${files} files keep the order of docs/ARCHITECTURE.md.`);
}
