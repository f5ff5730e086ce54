/** @file A model against reference values of its loss, its logits and every gradient: `metalr gradcheck`. */
import { gradients } from "../autodiff/backward.js";
import { DataError } from "../common/errors.js";
import { type FloatTensor, formatShape, type Tensor, toFloat32 } from "../common/tensor.js";
import { input, makeGraph } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import type { Model } from "../models/types.js";
import { crossEntropy } from "../ops/index.js";
import { chooseCompiler } from "../runtime/lowering.js";
import { isNativeExecutor } from "../runtime/onednn.js";
import type { Executor } from "../runtime/types.js";

export interface GradCheck {
  readonly trainLoss: number;
  /** Relative to the reference. */
  readonly lossError: number;
  readonly evalLogits: {
    readonly maxAbsError: number;
    /**
     * Which running statistics gave it. Exporting in training form runs the network once on its example and so moves the
     * statistics that are written; where the reference is from before that, they are moved back.
     */
    readonly statistics: "file" | "before export";
    /** With the statistics as they are in the file. */
    readonly maxAbsErrorOfFile: number;
  };
  /** By parameter: ‖difference‖ / max(‖reference‖, 1e-3 × the largest ‖reference‖). */
  readonly gradients: Readonly<Record<string, { readonly relError: number }>>;
  /** Name of the parameter with the largest error. */
  readonly worst: string;
  /** Parameters of which only one side has a gradient. */
  readonly unmatched: readonly string[];
}

/** Float arrays of both sides, or NaN everywhere where the sizes differ. */
const distance = (a: Float32Array, b: Float32Array, f: (sum: number, d: number) => number): number =>
  a.length !== b.length ? Number.NaN : a.reduce((s, v, i) => f(s, v - (b[i] ?? Number.NaN)), 0);
const norm = (a: Float32Array): number => Math.sqrt(a.reduce((s, v) => s + v * v, 0));
/** NaN counts as the largest: Math.max keeps it. */
const largest = (a: Float32Array, b: Float32Array) => distance(a, b, (m, d) => Math.max(m, Math.abs(d)));

/**
 * @param reference as of shared zoo: x, y, eval_logits, train_loss, grad/NAME
 * @throws {DataError} an array that is missing
 */
export async function gradCheck(
  model: Model,
  reference: ReadonlyMap<string, Tensor>,
  executor: Executor,
): Promise<GradCheck> {
  const wanted = (name: string): Tensor => {
    const t = reference.get(name);
    if (t === undefined) {
      throw new DataError("reference", {
        problem: `has no array "${name}"`,
        expected: "x, y, eval_logits, train_loss and grad/NAME",
      });
    }
    return t;
  };
  const [x, y] = [wanted("x"), wanted("y")];
  const labels: Tensor = {
    dtype: "int64",
    shape: y.shape,
    data: BigInt64Array.from(y.data as ArrayLike<number | bigint>, BigInt),
  }; // every DataOf is such a list
  const { run, close } = await prepare(model, x.shape, y.shape, executor);
  try {
    return await compare(model, reference, wanted, (weights) => run(toFloat32(x), labels, weights));
  } finally {
    await close();
  }
}

async function compare(
  model: Model,
  reference: ReadonlyMap<string, Tensor>,
  wanted: (name: string) => Tensor,
  run: (weights: Weights) => Promise<ReadonlyMap<string, FloatTensor>>,
): Promise<GradCheck> {
  const first = await run(model.weights);
  const target = Number(wanted("train_loss").data[0]);
  const trainLoss = first.get("loss")?.data[0] ?? Number.NaN;
  const names = [...reference.keys()].flatMap((n) => (n.startsWith("grad/") ? [n.slice("grad/".length)] : []));
  const matched = names.filter((n) => first.has(`grad/${n}`));
  const floor = 1e-3 * Math.max(...names.map((n) => norm(toFloat32(wanted(`grad/${n}`)).data)));
  const errors = matched.map((n) => {
    const [ours, theirs] = [first.get(`grad/${n}`)?.data ?? new Float32Array(), toFloat32(wanted(`grad/${n}`)).data];
    return [n, Math.sqrt(distance(ours, theirs, (s, d) => s + d * d)) / Math.max(norm(theirs), floor)] as const;
  });
  const worst = errors.reduce((a, b) => (Number.isNaN(a[1]) || a[1] >= b[1] ? a : b), ["", 0] as const);

  const logits = toFloat32(wanted("eval_logits")).data;
  const evalError = (outputs: ReadonlyMap<string, FloatTensor>) =>
    largest(outputs.get("eval")?.data ?? new Float32Array(), logits);
  const ofFile = evalError(first);
  const before = model.buffers.length === 0 ? ofFile : evalError(await run(await undo(model, run)));
  return {
    trainLoss,
    lossError: Math.abs(trainLoss - target) / Math.abs(target),
    evalLogits: {
      maxAbsError: Math.min(ofFile, before),
      statistics: before < ofFile ? "before export" : "file",
      maxAbsErrorOfFile: ofFile,
    },
    gradients: Object.fromEntries(errors.map(([n, relError]) => [n, { relError }])),
    worst: worst[0],
    unmatched: [
      ...names.filter((n) => !matched.includes(n)),
      ...model.parameters.map((p) => p.name).filter((n) => !names.includes(n)),
    ],
  };
}

type Weights = ReadonlyMap<string, FloatTensor>;
type Run = (x: FloatTensor, labels: Tensor, weights: Weights) => Promise<ReadonlyMap<string, FloatTensor>>;

/** One graph for everything: loss, gradients, evaluation logits, statistics after the batch ("next/NAME"). */
async function prepare(
  model: Model,
  x: readonly number[],
  y: readonly number[],
  executor: Executor,
): Promise<{ run: Run; close: () => Promise<void> }> {
  const image = input("x", "float32", x);
  const labels = input("y", "int64", y);
  const values = new Map<string, Value>([...model.weights].map(([n, t]) => [n, input(n, "float32", t.shape)]));
  // A model asks for its own parameters and buffers only.
  const value = (n: string) => values.get(n)!;
  const train = model.forward(value, image, { batchNorm: "update" });
  const evaluation = model.forward(value, image, { batchNorm: "running" });
  if (formatShape(train.logits.shape.toSpliced(1, 1)) !== formatShape(y)) {
    throw new DataError("reference", {
      problem: "labels do not fit the logits",
      expected: formatShape(train.logits.shape.toSpliced(1, 1)),
      got: formatShape(y),
    });
  }
  const loss = crossEntropy(train.logits, labels);
  const g = gradients(
    loss,
    model.parameters.map((p) => value(p.name)),
  );
  const outputs = new Map<string, Value>([
    ["loss", loss],
    ["eval", evaluation.logits],
    ...model.parameters.map((p, i) => [`grad/${p.name}`, g[i]!] as const), // one for each parameter
    ...[...train.buffers].map(([n, v]) => [`next/${n}`, v] as const),
  ]);
  const graph = makeGraph("gradcheck", new Map([["x", image], ["y", labels], ...values]), outputs);
  // Exported networks are checked in plain ONNX operators, or by the native executor where that is asked for.
  const { compile } = await chooseCompiler(executor, isNativeExecutor(executor) ? "onednn" : "portable");
  const program = await executor.load(compile(graph));
  const run: Run = async (xs, ys, weights) => {
    const feeds = new Map<string, Tensor>([...weights, ["x", xs], ["y", ys]]);
    // Every input of the graph is one of them.
    const results = await program.run(
      Object.fromEntries(program.compiled.inputs.map((p) => [p.name, feeds.get(p.name)!])),
    );
    return new Map(Object.entries(results).map(([n, t]) => [n, toFloat32(t)]));
  };
  return { run, close: () => program.close() };
}

/**
 * The running statistics before one update by this batch. An update is next(r) = (1 − m)·r + b, so next(0) and next(1) tell
 * both m and b, and r = (file − next(0)) / (next(1) − next(0)).
 */
async function undo(
  model: Model,
  run: (weights: Weights) => Promise<ReadonlyMap<string, FloatTensor>>,
): Promise<Weights> {
  const filled = (v: number): Weights =>
    new Map([
      ...model.weights,
      ...model.buffers.map(({ name, shape }): [string, FloatTensor] => {
        const size = shape.reduce((a, d) => a * d, 1);
        return [name, { dtype: "float32", shape, data: new Float32Array(size).fill(v) }];
      }),
    ]);
  const [zero, one] = [await run(filled(0)), await run(filled(1))];
  const result = new Map(model.weights);
  for (const { name, shape } of model.buffers) {
    const [file, low, high] = [model.weights.get(name), zero.get(`next/${name}`), one.get(`next/${name}`)];
    if (!file || !low || !high) continue;
    const data = file.data.map((r, i) => (r - (low.data[i] ?? 0)) / ((high.data[i] ?? 1) - (low.data[i] ?? 0)));
    result.set(name, { dtype: "float32", shape, data });
  }
  return result;
}
