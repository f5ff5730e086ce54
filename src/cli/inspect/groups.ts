/** @file The layer groups of a network: what gets one learning rate each. */
import { formatShape, sizeOf } from "../../common/tensor.js";
import type { Model } from "../../models/types.js";
import { formatCount } from "../../records/format.js";

export const groupFacts = (model: Model) =>
  model.groups.map((name, g) => ({
    name,
    parameters: model.parameters
      .filter((p) => p.group === g)
      .map(({ name: parameter, shape }) => ({ name: parameter, shape })),
  }));

export function groupLines(model: Model): string[] {
  return model.groups.flatMap((name, g) => {
    const own = model.parameters.filter((p) => p.group === g);
    const numbers = own.reduce((sum, p) => sum + sizeOf(p.shape), 0);
    return [
      `${name}${g === model.headGroup ? " (head)" : ""}: ${formatCount(numbers)} parameters`,
      ...own.map((p) => `    ${p.name} ${formatShape(p.shape)}`),
    ];
  });
}
