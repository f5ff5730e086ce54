/** @file What a person should see of data and plan before a training starts: counts, parts, small pictures. */
import type { Plan } from "../cli/train/plan.js";
import { sizeOf } from "../common/tensor.js";
import type { Dataset, RawImage, Split } from "../data/types.js";
import type { DataFacts, PartCounts, PlanFacts, Thumbnail } from "./protocol.js";

/** Thumbnails in all, and their longer side in pixels. */
const MOST = 12;
const SIDE = 112;

export async function dataFacts(dataset: Dataset): Promise<DataFacts> {
  const counts = new Uint32Array(dataset.classes.length);
  for (const label of dataset.labels) counts[label] = (counts[label] ?? 0) + 1;
  return {
    name: dataset.name,
    count: dataset.count,
    classes: dataset.classes.map((name, c) => ({ name, count: counts[c] ?? 0 })),
    groups: dataset.groups === null ? null : new Set(dataset.groups).size,
    notes: dataset.notes,
    thumbnails: await thumbnails(dataset),
  };
}

/** Images spread over the set, every class in turn. */
async function thumbnails(dataset: Dataset): Promise<Thumbnail[]> {
  if (dataset.imageShape.depth !== undefined) return [];
  const each = Math.max(1, Math.floor(MOST / dataset.classes.length));
  const found: Thumbnail[] = [];
  for (let c = 0; c < dataset.classes.length && found.length < MOST; c++) {
    const own = Array.from(dataset.labels.keys()).filter((i) => dataset.labels[i] === c);
    for (let k = 0; k < Math.min(each, own.length) && found.length < MOST; k++) {
      const index = own[Math.floor((k * own.length) / each)];
      if (index !== undefined) found.push({ label: c, bitmap: await bitmapOf(await dataset.image(index)) });
    }
  }
  return found;
}

/** 8 bits as they are; deeper pixels from their lowest to their highest value. */
async function bitmapOf({ data, channels, width, height }: RawImage): Promise<ImageBitmap> {
  let [low, high] = [0, 255];
  if (!(data instanceof Uint8Array)) {
    [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const v of data) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  const scale = high > low ? 255 / (high - low) : 0;
  const plane = width * height;
  const image = new ImageData(width, height);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      const value = data[(channels >= 3 ? c : 0) * plane + i] ?? low;
      image.data[4 * i + c] = (value - low) * scale;
    }
    image.data[4 * i + 3] = 255;
  }
  const shrink = Math.min(1, SIDE / Math.max(width, height));
  return createImageBitmap(image, {
    resizeWidth: Math.max(1, Math.round(width * shrink)),
    resizeHeight: Math.max(1, Math.round(height * shrink)),
    resizeQuality: "medium",
  });
}

const countsOf = (split: Split, keep: (index: number) => boolean): PartCounts => ({
  train: split.train.filter(keep).length,
  validation: split.validation.filter(keep).length,
  test: split.test.filter(keep).length,
});

export function planFacts(plan: Plan, split: Split): PlanFacts {
  const { dataset, opened, settings, method } = plan;
  const { model, weights } = opened;
  const batch = Math.min(settings.batchSize ?? 128, split.train.length);
  const fold = /^fold-(\d+)$/.exec(split.name)?.[1];
  return {
    parts: countsOf(split, () => true),
    classes: dataset.classes.map((_, c) => countsOf(split, (i) => dataset.labels[i] === c)),
    fold: fold === undefined ? null : `fold ${fold} of ${plan.folds}`,
    network: model.name,
    layerGroups: model.groups,
    parameters: model.parameters.reduce((sum, p) => sum + sizeOf(p.shape), 0),
    matched: weights && { taken: weights.match.matched.size, fresh: weights.match.unmatched },
    method: method.name,
    epochs: settings.epochs ?? 30,
    stepsPerEpoch: Math.ceil(split.train.length / Math.max(batch, 1)),
    notes: [...plan.notes, ...(split.notes ?? [])],
  };
}
