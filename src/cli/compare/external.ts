/** @file The selected networks of a comparison on images from elsewhere; kept beside each run, so that nothing is done twice. */
import type { FinishedCell, FinishedComparison } from "../../records/compare-plan.js";
import { join } from "../../records/files.js";
import { evaluateRun } from "../../records/use-run.js";
import type { Executor } from "../../runtime/types.js";
import type { Context } from "../command.js";
import { openAlike } from "../train/plan.js";
import type { CompareFlags } from "./flags.js";

/** Accuracy of every cell on the other data set. @throws {DataError} other classes than the runs' */
export async function testElsewhere(
  context: Context,
  o: {
    readonly path: string;
    readonly given: CompareFlags;
    readonly executor: Executor;
    readonly signal: AbortSignal;
  },
  { cells }: FinishedComparison,
): Promise<{ readonly name: string; readonly accuracy: ReadonlyMap<FinishedCell, number> }> {
  const { platform } = context;
  const dataset = await openAlike(o.path, o.given, platform);
  const accuracy = new Map<FinishedCell, number>();
  try {
    for (const cell of cells) {
      const file = join(cell.folder, "external-test.json");
      const known = await stored(context, file, dataset.fingerprint);
      if (known !== null) {
        accuracy.set(cell, known);
        continue;
      }
      const { evaluation } = await evaluateRun(cell.folder, dataset, {
        platform,
        executor: o.executor,
        part: "all",
        workers: 0,
        signal: o.signal,
      });
      const content = { data: dataset.name, fingerprint: dataset.fingerprint, evaluation };
      await platform.files.writeAtomic(file, `${JSON.stringify(content, null, 2)}\n`);
      accuracy.set(cell, evaluation.accuracy);
    }
  } finally {
    await dataset.close();
  }
  return { name: dataset.name, accuracy };
}

/** What an earlier call found for the same images; null where there is nothing of use. */
async function stored({ platform }: Context, file: string, fingerprint: string): Promise<number | null> {
  if ((await platform.files.kind(file)) !== "file") return null;
  try {
    const value: unknown = JSON.parse(await platform.files.readText(file));
    const { fingerprint: of, evaluation } = value as { fingerprint?: unknown; evaluation?: { accuracy?: unknown } }; // checked below
    return of === fingerprint && typeof evaluation?.accuracy === "number" ? evaluation.accuracy : null;
  } catch {
    return null; // it is made anew
  }
}
