/**
 * @file The experiments of docs/EVIDENCE.md. `npm run evidence -- NAME` runs one (or goes on with it) and writes its tables;
 * `npm run evidence -- tables` only writes the tables of what is there, finished or not. `--data DIR` is the folder of the data
 * (../shared/data), `--out DIR` that of the results (runs/evidence); further words behind `--` go to `metalr compare`.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { aboutMethod, parseMethod } from "../src/methods/index.js";
import { nodePlatform } from "../src/platform/node/index.js";
import { collect } from "./evidence/collect.js";
import { experiments } from "./evidence/experiments.js";
import { experimentMarkdown } from "./evidence/markdown.js";

const document = fileURLToPath(new URL("../docs/EVIDENCE.md", import.meta.url));

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

const split = process.argv.indexOf("--", 2);
const [own, further] =
  split < 0 ? [process.argv.slice(2), []] : [process.argv.slice(2, split), process.argv.slice(split + 1)];
const option = (name: string, byDefault: string): string => {
  const at = own.indexOf(name);
  return at < 0 ? byDefault : (own[at + 1] ?? fail(`${name}: is without a folder`));
};
const data = option("--data", "../shared/data");
const out = option("--out", "runs/evidence");
const [name] = own;
const chosen = experiments.find((e) => e.name === name);
if (chosen === undefined && name !== "tables") {
  fail(`usage: npm run evidence -- NAME [--data DIR] [--out DIR] [-- words for metalr compare]
  NAME is tables, or one of ${experiments.map((e) => e.name).join(", ")}`);
}

if (chosen !== undefined) {
  const bin = fileURLToPath(new URL("../dist/cli/bin.js", import.meta.url));
  const words = [
    "compare",
    ...chosen.words.map((w) => w.replace(/^DATA\//, `${data}/`)),
    "-o",
    join(out, chosen.name),
    ...further,
  ];
  process.stdout.write(`metalr ${words.join(" ")}\n`);
  const { status } = spawnSync(process.execPath, [bin, ...words], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

/** As `metalr compare` names its rows. */
const titleOf = (key: string): string => {
  const own = key.split(":").slice(1).join(", ");
  const { title } = aboutMethod(parseMethod(key).name);
  if (key === "metalr") return "MetaLR, the paper's sign";
  if (key === "metalr:variant=released") return "MetaLR, the released code's sign";
  return own === "" ? title : `${title} (${own})`;
};

let text = readFileSync(document, "utf8");
for (const e of experiments) {
  if (chosen !== undefined && e !== chosen) continue;
  const begin = `<!-- evidence: ${e.name} -->`;
  const end = `<!-- end: ${e.name} -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) fail(`${document}: has no place for ${e.name} (${begin} … ${end})`);
  const found = await collect(nodePlatform.files, join(out, e.name), titleOf);
  text = `${text.slice(0, from + begin.length)}\n${experimentMarkdown(e, found)}\n${text.slice(to)}`;
  process.stdout.write(
    `${e.name}: ${found === null ? "nothing whole yet" : found.map((c) => `${c.figures.data} ${c.seeds.length} seeds`).join(", ")}\n`,
  );
}
writeFileSync(document, text);
