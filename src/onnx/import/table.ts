/** @file Every ONNX operator that is imported, and the rule that makes it into our ops. */
import type { ImportTable } from "./_context.js";
import { elementwiseTable } from "./elementwise.js";
import { knownTable } from "./known.js";
import { linearTable } from "./linear.js";
import { normTable } from "./norm.js";
import { reduceTable } from "./reduce.js";
import { resizeTable } from "./resize.js";
import { sequenceTable } from "./sequence.js";
import { shapeTable } from "./shape.js";
import { spaceTable } from "./space.js";

export const importTable: ImportTable = {
  ...elementwiseTable,
  ...reduceTable,
  ...shapeTable,
  ...sequenceTable,
  ...knownTable,
  ...spaceTable,
  ...normTable,
  ...linearTable,
  ...resizeTable,
};
