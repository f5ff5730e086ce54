/** @file Replays recorded batches from given weights, step by step: how a method is compared with a reference trajectory. */
import { DataError } from "../common/errors.js";
import { type FloatTensor, formatShape, type Tensor, toFloat32 } from "../common/tensor.js";
import type { Compiled } from "../compile/types.js";
import type { Graph } from "../graph/value.js";
import type { Method } from "../methods/types.js";
import type { Model } from "../models/types.js";
import { type LabelledBatch, Stepper } from "../runtime/stepper.js";
import type { Executor } from "../runtime/types.js";

export interface ReplayStep {
  readonly trainLoss: number;
  readonly valLoss: number | null;
  /** Per layer group, in loss per unit of learning rate. */
  readonly hypergradient: readonly number[] | null;
  /** Per layer group, after the update. */
  readonly lr: readonly number[];
}

export interface ReplayResult {
  readonly steps: readonly ReplayStep[];
  /** Parameters and buffers after the last step, by name. */
  readonly final: ReadonlyMap<string, FloatTensor>;
  /** Which lowering ran. */
  readonly lowering: string;
}

/**
 * @param batches train_x, val_x [steps, N, …] and train_y, val_y [steps, N, …], as in batches.npz
 * @param fixedValidation use validation batch 0 in every step, as the released program does
 * @throws {DataError} when an array is missing or their shapes do not go together
 */
export async function replay(o: {
  model: Model;
  method: Method;
  batches: ReadonlyMap<string, Tensor>;
  executor: Executor;
  fixedValidation?: boolean;
  compile?: (graph: Graph) => Compiled;
}): Promise<ReplayResult> {
  const [trainX, trainY, valX, valY] = ["train_x", "train_y", "val_x", "val_y"].map((name) => {
    const t = o.batches.get(name);
    if (!t)
      throw new DataError("batches.npz", {
        problem: `array "${name}" is missing`,
        expected: "train_x, train_y, val_x, val_y",
      });
    return t;
  }) as [Tensor, Tensor, Tensor, Tensor]; // four names
  const steps = trainX.shape[0] ?? 0;
  for (const [name, t, like] of [
    ["train_y", trainY, trainX],
    ["val_x", valX, trainX],
    ["val_y", valY, valX],
  ] as const) {
    const same = name === "val_x" ? t.shape[0] === steps : t.shape[0] === steps && t.shape[1] === like.shape[1];
    if (!same) {
      throw new DataError("batches.npz", {
        problem: `"${name}" does not go with the images`,
        expected: `[${like.shape.slice(0, name === "val_x" ? 1 : 2).join(",")}, …]`,
        got: formatShape(t.shape),
      });
    }
  }
  const stepper = new Stepper(o.executor, o.model, o.method, o.compile ? { compile: o.compile } : {});
  const shapes = { train: trainX.shape.slice(1), ...(o.method.needsValidation && { validation: valX.shape.slice(1) }) };
  const { lowering } = await stepper.ready(shapes);
  const records: ReplayStep[] = [];
  for (let t = 0; t < steps; t++) {
    const v = o.fixedValidation ? 0 : t;
    const clock = { step: t + 1, epoch: 1, epochs: 1, stepsPerEpoch: steps };
    const report = await stepper.step(batchOf(trainX, trainY, t), batchOf(valX, valY, v), clock);
    const numbers = (name: string) =>
      report[name] ? Array.from(report[name].data as ArrayLike<number>, Number) : null; // reports are float32
    records.push({
      trainLoss: numbers("trainLoss")?.[0] ?? Number.NaN,
      valLoss: numbers("validationLoss")?.[0] ?? null,
      hypergradient: numbers("hypergradient"),
      lr: numbers("lr") ?? [],
    });
  }
  await stepper.sync();
  const final = new Map<string, FloatTensor>();
  for (const [name, t] of stepper.state)
    if (name.startsWith("model/")) final.set(name.slice("model/".length), toFloat32(t));
  await stepper.close();
  return { steps: records, final, lowering };
}

/** Row t of stacked batches: x as float32, labels as int64. */
function batchOf(x: Tensor, y: Tensor, t: number): LabelledBatch {
  const row = (a: Tensor): { shape: readonly number[]; from: number; to: number } => {
    const size = a.data.length / (a.shape[0] ?? 1);
    return { shape: a.shape.slice(1), from: t * size, to: (t + 1) * size };
  };
  const [rx, ry] = [row(x), row(y)];
  const pixels = toFloat32(x).data.slice(rx.from, rx.to);
  const labels = BigInt64Array.from(
    Array.from({ length: ry.to - ry.from }, (_, i) => BigInt(Number(y.data[ry.from + i]))),
  );
  return {
    x: { dtype: "float32", shape: rx.shape, data: pixels },
    y: { dtype: "int64", shape: ry.shape, data: labels },
  };
}
