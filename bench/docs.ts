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

/** Sections of the document by name. Of what was measured more than once the newest counts. */
export function sectionsOf(files: readonly BenchFile[]): Map<string, string> {
  const inOrder = [...files].sort((a, b) => a.date.localeCompare(b.date));
  const byName = new Map<string, Measured>();
  for (const { measured } of inOrder) for (const m of measured) byName.set(m.workload.name, m);
  const sections = new Map<string, string>();
  const captions = [...new Set(inOrder.map((f) => `${f.caption}; medians of ${f.rounds} steps`))];
  sections.set("machine", captions.map((c) => `- ${c}`).join("\n"));
  const main = (sets.get("main") ?? []).flatMap((name) => byName.get(name) ?? []);
  if (main.length > 0)
    sections.set("steps", `${stepTable(main)}\n\n![The same as bars, and how a step grows](benchmarks.svg)`);
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
  const files = await Promise.all(
    folders.map(async (folder) => {
      if (!(await readdir(folder)).includes("bench.json")) throw new Error(`${folder} holds no bench.json`);
      return JSON.parse(await readFile(join(folder, "bench.json"), "utf8")) as BenchFile; // what run.ts wrote
    }),
  );
  const at = (name: string) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  const path = at("BENCHMARKS.md");
  await writeFile(path, withSections(await readFile(path, "utf8"), sectionsOf(files)));
  const byName = new Map(files.flatMap((f) => f.measured.map((m) => [m.workload.name, m] as const)));
  const measured = [...byName.values()];
  const shown = measured.filter((m) => sets.get("main")?.includes(m.workload.name));
  if (measured.length > 0) {
    await writeFile(
      at("benchmarks.svg"),
      chart(shown.length > 0 ? shown : measured, growth(measured), files.at(-1)?.caption ?? ""),
    );
  }
  console.log(`docs/BENCHMARKS.md: ${[...sectionsOf(files).keys()].join(", ")}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}
