/** @file A made-up run for tests: events as training reports them, with numbers from a seed. */
import { Random } from "../common/random.js";
import { EvaluationAccumulator } from "../training/metrics.js";
import type { EpochEvent, StepEvent, TrainingEvent } from "../training/types.js";
import type { RunConfig } from "./schema.js";

export const resnetGroups = [
  "stem",
  ...[1, 2, 3, 4].flatMap((stage) => [`layer${stage}.0`, `layer${stage}.1`]),
  "fc",
] as const;
const lungClasses = ["covid19", "pneumonia", "regular"] as const;

export interface SyntheticOptions {
  readonly seed?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  readonly select?: "last" | "validation" | "test";
  readonly groups?: readonly string[];
  /** Rates stay as they start, and there is no validation pass. */
  readonly constant?: boolean;
}

export function syntheticConfig(options: SyntheticOptions = {}): RunConfig {
  const { seed = 0, epochs = 3, select = "validation", groups = resnetGroups, constant = false } = options;
  return {
    name: "run",
    method: constant ? "finetune" : "metalr",
    model: { architecture: "resnet18", widths: [64, 128, 256, 512], weights: "best_model.pth" },
    data: {
      name: "pocus_data_all.pkl",
      fingerprint: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      parts: { train: 1032, meta: 1032, validation: 345, test: 344 },
    },
    select,
    options: {
      epochs,
      batchSize: 128,
      seed,
      lr: 0.01,
      hyperLr: 0.1,
      lrBounds: [1e-6, 1e-2],
      optimizer: { name: "adam", weightDecay: 1e-4 },
      normalization: { mean: [0.18, 0.18, 0.18], std: [0.24, 0.24, 0.24], source: "released" },
    },
    groups,
    classes: lungClasses,
    versions: { metalr: "0.1.0", node: "20.20.2", executor: "onnxruntime-node 1.30.0 (CPU)" },
    command: "metalr train -d data/pocus_data_all.pkl -p pretrained/best_model.pth",
  };
}

/** Logits of 344 images of three classes, the better the larger `skill`. */
export function syntheticPredictions(seed: number, skill: number): EvaluationAccumulator {
  const all = new EvaluationAccumulator(3);
  const random = new Random(seed, "predictions", Math.round(1000 * skill));
  const labels = Uint32Array.from({ length: 344 }, () => random.below(3));
  const logits = Float32Array.from(
    { length: 344 * 3 },
    (_, i) => random.normal() + (labels[Math.floor(i / 3)] === i % 3 ? skill : 0),
  );
  all.add(logits, labels);
  return all;
}

/** Start to end of one uninterrupted run. */
export function syntheticEvents(options: SyntheticOptions = {}): TrainingEvent[] {
  const { seed = 0, epochs = 3, stepsPerEpoch = 9, select = "validation", groups = resnetGroups } = options;
  const { constant = false } = options;
  const random = new Random(seed, "events");
  const d = groups.length;
  const lr = groups.map((_, j): number => (j === d - 1 ? 1e-2 : 1e-3));
  const drift = groups.map((_, j) => 0.8 * (0.35 - j / d) * (0.5 + random.uniform()));
  const events: TrainingEvent[] = [
    {
      type: "start",
      time: "2022-06-03T10:15:00.000Z",
      resumedAt: 0,
      groups,
      classes: lungClasses,
      stepsPerEpoch,
      epochs,
    },
  ];
  const total = epochs * stepsPerEpoch;
  const selectedEpoch = select === "last" ? epochs : Math.max(1, Math.round(0.7 * epochs));
  const skillAt = (epoch: number) => 3 * (1 - Math.exp(-epoch / (0.3 * epochs)));
  for (let step = 1; step <= total; step++) {
    const epoch = Math.ceil(step / stepsPerEpoch);
    const hypergradient = groups.map((_, j) => -drift[j]! + 0.4 * random.normal()); // one drift a group
    const pinned = epoch <= 0.2 * epochs;
    if (!constant) {
      for (const [j, h] of hypergradient.entries()) {
        const next = lr[j]! * (1 - (0.7 / Math.sqrt(total)) * 0.3 * h); // one rate a group
        lr[j] = pinned && j === d - 1 ? 1e-2 : Math.min(Math.max(next, 1e-6), 1e-2);
      }
    }
    const loss = 0.12 + 1.05 * Math.exp((-3 * step) / total);
    const event: StepEvent = {
      type: "step",
      step,
      epoch,
      trainLoss: loss + 0.06 * Math.abs(random.normal()),
      trainAccuracy: Math.min(1, 1 - loss / 2.4 + 0.02 * random.normal()),
      ...(constant ? {} : { validationLoss: loss + 0.1 * Math.abs(random.normal()), hypergradient }),
      lr: [...lr],
      elapsedMs: 620 * step,
      stepMs: 590,
      waitMs: 2,
      images: 128,
    };
    events.push(event);
    if (step % stepsPerEpoch !== 0) continue;
    const validation = syntheticPredictions(seed + 100, skillAt(epoch)).evaluate();
    const end: EpochEvent = {
      type: "epoch",
      epoch,
      step,
      trainLoss: loss + 0.05,
      trainAccuracy: 1 - loss / 2.4,
      validation,
      ...(select === "test" ? { test: syntheticPredictions(seed, skillAt(epoch)).evaluate() } : {}),
      lr: [...lr],
      elapsedMs: 620 * step + 40,
    };
    events.push(end, {
      type: "checkpoint",
      epoch,
      step,
      file: "checkpoints/last.safetensors",
      best: epoch === selectedEpoch,
    });
  }
  events.push({
    type: "end",
    reason: "finished",
    epoch: epochs,
    step: total,
    select,
    selectedEpoch,
    test: syntheticPredictions(seed, skillAt(selectedEpoch)).evaluate(),
    testLast: syntheticPredictions(seed, skillAt(epochs) - 0.2).evaluate(),
    elapsedMs: 620 * total + 90,
  });
  return events;
}
