/** @file A network and a data set that train in moments, for tests of runs. */
import { Random } from "../common/random.js";
import { datasetFromArrays } from "../data/arrays.js";
import type { Dataset, Split } from "../data/types.js";
import { metalr } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, linearLayer, pure, sequence } from "../models/layers.js";
import type { Model } from "../models/types.js";
import { reduceMean, relu } from "../ops/index.js";
import type { Snapshot, Transforms } from "./options.js";
import type { StepEvent, TrainingEvent } from "./types.js";

/** Grey images of 8×8: stripes along x are class "a", along y class "b". */
export async function stripes(count: number, classes: readonly string[] = ["a", "b"]): Promise<Dataset> {
  const random = new Random(1);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  const data = new Uint8Array(count * 64);
  for (let at = 0; at < data.length; at++) {
    const along = labels[at >> 6] === 0 ? at & 7 : (at >> 3) & 7;
    data[at] = 100 * (along % 2) + 100 * random.uniform();
  }
  return datasetFromArrays({
    path: "stripes.npz",
    parts: [
      { what: "", imagesName: "x", labelsName: "y", images: { dtype: "uint8", shape: [count, 8, 8], data }, labels },
    ],
    division: "none",
    classes,
    groups: null,
    notes: [],
  });
}

export const range = (from: number, to: number): Uint32Array =>
  Uint32Array.from({ length: to - from }, (_, i) => from + i);

/** 21 images train (the last batch of five is one image), 10 validate, 9 test. */
export const split: Split = {
  name: "run",
  train: range(0, 21),
  meta: range(0, 21),
  validation: range(21, 31),
  test: range(31, 40),
};

/** Two convolutions with batch norm and a linear layer: three groups. */
export const tinyModel = (classes = 2): Model =>
  fromGroups(
    { architecture: "tiny", classes, channels: 1 },
    [
      ["one", sequence(convLayer("c1", 1, 4, 3, { padding: 1 }), batchNormLayer("b1", 4), pure(relu))],
      ["two", sequence(convLayer("c2", 4, 6, 3, { stride: 2 }), batchNormLayer("b2", 6), pure(relu))],
      [
        "head",
        sequence(
          pure((x) => reduceMean(x, [2, 3])),
          linearLayer("fc", 6, classes),
        ),
      ],
    ],
    3,
  );

const plain = { size: [8, 8], channels: 1, normalization: { mean: [0.4], std: [0.25] }, augment: null } as const;
export const transforms: Transforms = {
  train: { ...plain, augment: { crop: { scale: [0.8, 1], ratio: [0.8, 1.25] }, flip: 0.5 } },
  evaluation: plain,
  source: "given",
};

/** Everything but executor and platform. */
export const tinyTraining = async () => ({
  model: tinyModel(),
  data: { dataset: await stripes(40), split },
  method: metalr({ headWarmup: { epochs: 1 }, roundDecimals: 6 }),
  transforms,
  epochs: 4,
  batchSize: 4,
  seed: 5,
  checkpointEvery: 2,
});

/** Keeps what a training tells and saves. Tensors are the trainer's own until the next step: they are copied, as a file would. */
export function recorder() {
  const events: TrainingEvent[] = [];
  const snapshots: Snapshot[] = [];
  return {
    events,
    snapshots,
    report: (event: TrainingEvent) => {
      events.push(event);
    },
    save: async (snapshot: Snapshot) => {
      const state = new Map([...snapshot.state].map(([name, t]) => [name, structuredClone(t)]));
      snapshots.push({ ...snapshot, state });
      return "memory";
    },
  };
}

/** The steps without their times. */
export const stepsOf = (events: readonly TrainingEvent[]): StepEvent[] =>
  events.flatMap((e) => (e.type === "step" ? [{ ...e, elapsedMs: 0, stepMs: 0, waitMs: 0 }] : []));
