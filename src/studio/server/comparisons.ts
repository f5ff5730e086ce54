/** @file What `metalr compare` left: its figures, checked before anybody shows them. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { comparisonFile } from "../../records/compare-report.js";
import { runFiles } from "../../records/files.js";
import type { ComparisonFacts, ComparisonSummary } from "../protocol.js";

const text = z.string().max(4000);
const number = z.number().nullable().catch(null); // what is no number is not shown
const interval = z.object({ mean: number, low: number, high: number });
const methodSchema = z.object({
  method: text,
  title: text,
  accuracy: z.record(text, interval),
  balancedAccuracy: number,
  macroAuc: number,
  trainingMs: number,
  test: z.object({ difference: interval, p: number, pHolm: number }).nullable().catch(null),
});
const schema = z.object({
  format: z.literal("metalr-comparison"),
  created: text,
  trainings: z.number(),
  data: z
    .array(
      z.object({
        data: text,
        unit: text,
        units: z.number(),
        reference: text,
        methods: z.array(methodSchema).max(200),
        words: z.array(text).max(200),
      }),
    )
    .max(100),
});

export type Comparison = Omit<ComparisonFacts, "runs" | "report">;

/** @returns null where it is damaged, or of another version */
export async function readComparison(folder: string, id: string, name: string): Promise<Comparison | null> {
  try {
    const path = join(folder, comparisonFile);
    if ((await stat(path)).size > 16 << 20) return null;
    const parsed = schema.safeParse(JSON.parse(await readFile(path, "utf8")));
    if (!parsed.success) return null;
    const { created, trainings, data } = parsed.data;
    const summary: ComparisonSummary = {
      id,
      name,
      data: data.map((d) => d.data),
      methods: [...new Set(data.flatMap((d) => d.methods.map((m) => m.title)))],
      trainings,
      created,
    };
    return {
      summary,
      data: data.map((d) => ({
        ...d,
        methods: d.methods.map(({ test, ...m }) => ({
          ...m,
          difference: test?.difference ?? null,
          p: test?.p ?? null,
          pHolm: test?.pHolm ?? null,
        })),
      })),
    };
  } catch {
    return null;
  }
}

export const hasReport = async (folder: string): Promise<boolean> =>
  (await stat(join(folder, runFiles.report)).catch(() => null))?.isFile() === true;
