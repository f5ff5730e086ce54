/** @file A step in pieces, for batches that do not fit into memory at once: means gathered over micro-batches, then the update. */
import { UsageError } from "../common/errors.js";
import type { Shape } from "../common/tensor.js";
import { input, makeGraph } from "../graph/build.js";
import { inputsOf, substitute } from "../graph/substitute.js";
import type { Graph, Value } from "../graph/value.js";
import { add, mul } from "../ops/index.js";
import type { BatchName, StepProgram } from "./types.js";

/** A mean over a batch, gathered as "state/sum/0" → "next/sum/0". */
export interface SumSpec {
  /** "sum/0". */
  readonly name: string;
  readonly shape: Shape;
}

/** Run once for every micro-batch: each mean grows by "scalar/share" times that of the micro-batch. */
export interface GatherPiece {
  readonly batch: BatchName;
  /** Outputs "next/sum/…", and "report/…" with one row an image. */
  readonly graph: Graph;
  readonly sums: readonly SumSpec[];
  /** Reports with one row an image, without "report/". */
  readonly rows: readonly string[];
}

export interface StepPieces {
  /** In the order in which they run: the validation pass reads the means of the training pass. */
  readonly gather: readonly GatherPiece[];
  /** The rest of the step, from the means alone. */
  readonly apply: Graph;
}

const order: readonly BatchName[] = ["train", "validation"];

/**
 * Cuts a step at its means over batches (`Step.mean`). A mean over a batch is the mean over its micro-batches, weighted by their
 * shares, so the pieces compute the same step, but for batch norm: it sees the statistics of each micro-batch.
 *
 * @param program compiled for the shapes of micro-batches
 * @throws {UsageError} a step that uses a batch in another way than through its means
 */
export function inPieces(name: string, { graph, means }: Pick<StepProgram, "graph" | "means">): StepPieces {
  const sums = (means ?? []).map(({ value, batch }, i) => ({ batch, value, name: `sum/${i}`, shape: value.shape }));
  const gathered = new Map(sums.map((s) => [s.value, input(`state/${s.name}`, "float32", s.shape)]));
  const refuse = (what: string): UsageError =>
    new UsageError("microBatch", {
      problem: `has no meaning with ${name}: ${what} needs a whole batch at once`,
      hint: "leave micro-batches out, or use smaller batches",
    });

  const names = [...graph.outputs.keys()];
  const rest = substitute([...graph.outputs.values()], gathered);
  const apply = new Map<string, Value>();
  const rows: { readonly batch: BatchName; readonly name: string; readonly value: Value }[] = [];
  for (const [i, output] of names.entries()) {
    const value = rest[i]!; // one value a name
    const batches = batchesOf(value);
    const [batch] = batches;
    if (batch === undefined) apply.set(output, value);
    else if (batches.length === 1 && output.startsWith("report/")) rows.push({ batch, name: output, value });
    else throw refuse(`"${output}"`);
  }

  const gather = order.flatMap((batch): GatherPiece[] => {
    const own = sums.filter((s) => s.batch === batch);
    if (own.length === 0) return [];
    const others = new Map([...gathered].filter(([v]) => !own.some((s) => s.value === v)));
    const share = input("scalar/share", "float32", []);
    const values = substitute(
      own.map((s) => s.value),
      others,
    );
    const foreign = values.find((v) => batchesOf(v).some((b) => b !== batch));
    if (foreign) throw refuse(`a mean over the ${batch} batch`);
    const outputs = new Map(
      own.map((s, i) => [`next/${s.name}`, add(gathered.get(s.value)!, mul(values[i]!, share))]), // both are made of `own`
    );
    const reports = rows.filter((r) => r.batch === batch);
    for (const r of reports) outputs.set(r.name, r.value);
    return [
      {
        batch,
        graph: piece(`${graph.name}, ${batch} pass`, graph, outputs, [
          ...own.map((s) => gathered.get(s.value)!),
          share,
        ]),
        sums: own.map((s) => ({ name: s.name, shape: s.shape })),
        rows: reports.map((r) => r.name.slice("report/".length)),
      },
    ];
  });
  return { gather, apply: piece(`${graph.name}, update`, graph, apply, []) };

  /** A graph with the inputs that its outputs read. */
  function piece(title: string, whole: Graph, outputs: ReadonlyMap<string, Value>, more: readonly Value[]): Graph {
    const read = inputsOf(outputs.values());
    const inputs = new Map([...whole.inputs].filter(([n]) => read.has(n)));
    for (const v of [...gathered.values(), ...more]) if (read.has(v.node.name)) inputs.set(v.node.name, v);
    return makeGraph(title, inputs, outputs);
  }
}

/** The batches that a value is computed from. */
const batchesOf = (value: Value): readonly BatchName[] => {
  const read = inputsOf([value]);
  return order.filter((batch) => read.has(`${batch}/x`) || read.has(`${batch}/y`));
};

/**
 * Sizes of the micro-batches of n images, at most `micro` each and as even as can be. Never one image alone, whose batch statistics
 * would be none, unless asked for: of three images in twos one micro-batch of three is made.
 */
export function microBatches(n: number, micro: number): readonly number[] {
  const most = micro >= 2 ? Math.max(1, Math.floor(n / 2)) : n;
  const count = Math.min(Math.ceil(n / micro), most);
  return Array.from({ length: count }, (_, i) => Math.floor(n / count) + (i < n % count ? 1 : 0));
}
