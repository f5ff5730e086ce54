/** @file Labelled volumes and a network for them that trains in moments, for tests of segmentations. */
import { Random } from "../common/random.js";
import type { Dataset, Split } from "../data/types.js";
import { metalr } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, pure, sequence } from "../models/layers.js";
import type { Model } from "../models/types.js";
import { relu } from "../ops/index.js";
import { range } from "./tiny.testing.js";
import { volumeTransforms } from "./volume-transforms.js";

/** Noise with one bright block (class 1) and one dark one (class 2), 10 × 9 × 8 and 8 × 9 × 10 voxels in turn. */
export function blocks(count: number): Dataset {
  const shapes = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? ([10, 9, 8] as const) : ([8, 9, 10] as const)));
  const made = shapes.map(([depth, height, width], i) => {
    const random = new Random(4, i);
    const size = depth * height * width;
    const data = Float32Array.from({ length: size }, () => 100 + 10 * random.uniform());
    const label = new Uint8Array(size);
    for (const c of [1, 2]) {
      const [z, y, x] = [depth, height, width].map((d) => random.below(d - 3)) as [number, number, number]; // three
      for (let k = 0; k < 27; k++) {
        const at = ((z + Math.floor(k / 9)) * height + y + (Math.floor(k / 3) % 3)) * width + x + (k % 3);
        label[at] = c;
        data[at] = c === 1 ? 160 : 40;
      }
    }
    return { image: { channels: 1, depth, height, width, data }, label: { depth, height, width, data: label } };
  });
  return {
    name: "blocks",
    count,
    classes: ["background", "bright", "dark"],
    labels: new Uint32Array(count),
    segmentation: {
      shapes,
      volume: async (i) => made[i]!.image, // tests ask for those that are there
      label: async (i) => made[i]!.label,
    },
    groups: null,
    division: { kind: "none" },
    imageShape: { channels: 1, depth: null, height: 9, width: null, type: "float32" },
    fingerprint: "blocks",
    notes: [],
    imageName: (i) => `block_${i}`,
    image: async (i) => made[i]!.image,
    close: async () => {},
  };
}

/** 5 train, 2 validate, 2 test. */
export const split: Split = {
  name: "run",
  train: range(0, 5),
  meta: range(0, 5),
  validation: range(5, 7),
  test: range(7, 9),
};

/** Two convolutions over volumes: two groups. */
export function tinySegmenter(classes = 3): Model {
  const model = fromGroups(
    { architecture: "tiny", classes, channels: 1 },
    [
      ["body", sequence(convLayer("c1", 1, 4, 3, { padding: 1, dimensions: 3 }), batchNormLayer("b1", 4), pure(relu))],
      ["head", convLayer("c2", 4, classes, 1, { bias: true, dimensions: 3 })],
    ],
    3,
  );
  return { ...model, task: "segmentation", input: { channels: 1, size: null, dimensions: 3 } };
}

/** Everything but executor and platform. */
export function tinySegmentation() {
  const dataset = blocks(9);
  const model = tinySegmenter();
  return {
    model,
    data: { dataset, split },
    method: metalr({ headWarmup: { epochs: 1 }, roundDecimals: 6 }),
    transforms: volumeTransforms({
      model,
      dataset,
      train: split.train,
      patch: [6, 6, 6],
      window: [8, 8, 8],
      flip: 0.5,
      perEpoch: 2,
    }),
    epochs: 3,
    batchSize: 3,
    seed: 5,
    workers: 0,
    checkpointEvery: 2,
  };
}
