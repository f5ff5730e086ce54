/** @file What tests say of an opened data set. */
import type { Dataset } from "./types.js";

/** Images per class of every fold or part. */
export const table = (d: Dataset): number[][] => {
  const { division } = d;
  const all = Uint32Array.from({ length: d.count }, (_, i) => i);
  const parts =
    division.kind === "folds"
      ? division.folds
      : division.kind === "official"
        ? [division.train, division.validation ?? [], division.test ?? []]
        : [all];
  return parts.map((part) => d.classes.map((_, c) => [...part].filter((i) => d.labels[i] === c).length));
};
