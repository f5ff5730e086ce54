/**
 * @file `npm run bench:docs -- DIR …`: the tables of docs/BENCHMARKS.md anew, from the bench.json of these folders. Text outside of
 * `<!-- bench:NAME -->` … `<!-- /bench:NAME -->` stays, and so do sections of which nothing was measured.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chart } from "./chart.js";
import { experimentNames, experimentTable, startTable } from "./experiments.js";
import { type BenchFile, growth, growthTable, type Measured, partTable, residualTable, stepTable } from "./report.js";
import { sets } from "./workloads.js";

/** What ran our side: "" for ONNX Runtime on the processor, "onednn" and "bfloat16" for the native executor, else the device. */
function engineOf({ contenders: { ours } }: Measured): string {
  const executor = String(ours?.facts["executor"] ?? "");
  if (executor.startsWith("oneDNN")) return executor.includes("bfloat16") ? "bfloat16" : "onednn";
  const device = executor.split(", ").at(-1) ?? ""; // "onnxruntime-node 1.30.0, webgpu"
  return device === "cpu" ? "" : device;
}

const peersOf = ({ contenders: { released, twoPass } }: Measured) => (released ? 1 : 0) + (twoPass ? 1 : 0);

const byDate = (files: readonly BenchFile[]) => [...files].sort((a, b) => a.date.localeCompare(b.date));

/** Results by what ran our side and by workload. Of what was measured more than once the newest counts, and with peers before without. */
export function resultsOf(files: readonly BenchFile[]): ReadonlyMap<string, ReadonlyMap<string, Measured>> {
  const engines = new Map<string, Map<string, Measured>>();
  for (const m of byDate(files).flatMap((f) => f.measured)) {
    const engine = engineOf(m);
    const known = engines.get(engine) ?? new Map<string, Measured>();
    engines.set(engine, known);
    // A series without peers does not take the place of a measurement beside them.
    const before = known.get(m.workload.name);
    if (!before || peersOf(m) >= peersOf(before)) known.set(m.workload.name, m);
  }
  return engines;
}

/** Sections of the document by name. */
export function sectionsOf(files: readonly BenchFile[]): Map<string, string> {
  const inOrder = byDate(files);
  const engines = resultsOf(files);
  const byName = engines.get("") ?? new Map<string, Measured>();
  const sections = new Map<string, string>();
  const captions = [...new Set(inOrder.map((f) => `${f.caption}; medians of ${f.rounds} steps`))];
  sections.set("machine", captions.map((c) => `- ${c}`).join("\n"));
  const main = (sets.get("main") ?? []).flatMap((name) => byName.get(name) ?? []);
  if (main.length > 0)
    sections.set("steps", `${stepTable(main)}\n\n![The same as bars, and how a step grows](benchmarks.svg)`);
  for (const [engine, found] of engines) {
    const rows = [...(sets.get("main") ?? [])].flatMap((name) => found.get(name) ?? []);
    if (engine !== "" && rows.length > 0) sections.set(`steps-${engine}`, stepTable(rows));
  }
  const parts = main.flatMap((m) => partTable(m) ?? []);
  if (parts.length > 0) sections.set("parts", parts.join("\n\n"));
  const starts = main.flatMap((m): (readonly [string, number])[] => {
    const start = m.contenders.ours?.facts["startMs"];
    return typeof start === "number" ? [[m.workload.name, start]] : [];
  });
  if (starts.length > 0) sections.set("start", startTable(starts));
  const grown = growth([...byName.values()]);
  if (grown.length > 0) sections.set("growth", `${growthTable(grown)}\n\n${residualTable(grown)}`);
  for (const name of experimentNames) {
    const found = inOrder.flatMap((f) => f.experiments).findLast((e) => e.name === name);
    if (found) sections.set(name, `${experimentTable(found)}\n\n${found.words}`);
  }
  return sections;
}

/** The document with the sections in their places. @throws {Error} a section that has no place */
export function withSections(text: string, sections: ReadonlyMap<string, string>): string {
  let result = text;
  for (const [name, content] of sections) {
    const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
    const [from, to] = [result.indexOf(open), result.indexOf(close)];
    if (from < 0 || to < from) throw new Error(`the document has no place for "${name}": ${open} … ${close}`);
    result = `${result.slice(0, from + open.length)}\n${content}\n${result.slice(to)}`;
  }
  return result;
}

async function main(folders: readonly string[]): Promise<void> {
  if (folders.length === 0) throw new Error("usage: npm run bench:docs -- DIR …   (folders that npm run bench wrote)");
  const files: BenchFile[] = [];
  let operators: string | null = null;
  for (const folder of folders) {
    const here = await readdir(folder);
    const read = (name: string) => readFile(join(folder, name), "utf8");
    if (here.includes("bench.json"))
      files.push(JSON.parse(await read("bench.json")) as BenchFile); // what run.ts wrote
    else if (here.includes("native-ops.md")) operators = (await read("native-ops.md")).trim();
    else throw new Error(`${folder} holds no bench.json and no native-ops.md`);
  }
  const at = (name: string) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  const path = at("BENCHMARKS.md");
  const sections = sectionsOf(files);
  if (operators !== null) sections.set("native-ops", operators);
  await writeFile(path, withSections(await readFile(path, "utf8"), sections));
  const measured = [...(resultsOf(files).get("")?.values() ?? [])]; // the tables' own
  const shown = measured.filter((m) => sets.get("main")?.includes(m.workload.name));
  if (measured.length > 0) {
    await writeFile(
      at("benchmarks.svg"),
      chart(shown.length > 0 ? shown : measured, growth(measured), files.at(-1)?.caption ?? ""),
    );
  }
  console.log(`docs/BENCHMARKS.md: ${[...sections.keys()].join(", ")}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}
