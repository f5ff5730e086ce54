/** @file docs/OPERATORS.md, written from the tables themselves: which ONNX operators are read, and what our own ops can do. */
import { type Op, ops } from "../ops/index.js";
import { supportedOpsets } from "./dtype.js";
import { elementwiseTable } from "./import/elementwise.js";
import { knownTable } from "./import/known.js";
import { linearTable } from "./import/linear.js";
import { normTable } from "./import/norm.js";
import { reduceTable } from "./import/reduce.js";
import { resizeTable } from "./import/resize.js";
import { sequenceTable } from "./import/sequence.js";
import { shapeTable } from "./import/shape.js";
import { spaceTable } from "./import/space.js";

const families = {
  "Elementwise and activations": elementwiseTable,
  "Convolution and pooling": spaceTable,
  Normalisation: normTable,
  "Matrix products": linearTable,
  "Moving elements": { ...shapeTable, ...sequenceTable },
  "Reductions and softmax": reduceTable,
  Resizing: resizeTable,
  "Known when the model is opened, or without effect": knownTable,
} as const;

/** Gradient of an op in words: by which inputs it is defined. */
function gradientOf(op: Op): string {
  const inputs = Object.entries(op.differentiable);
  const by = inputs.filter(([, yes]) => yes).map(([name]) => name);
  if (by.length === 0) return "none";
  return by.length === inputs.length ? "every input" : `by ${by.join(", ")}`;
}

/** The whole document; `scripts/operators.ts` writes it and a test holds it. */
export function operatorsMarkdown(): string {
  const imported = Object.entries(families).map(
    ([family, table]) => `| ${family} | ${Object.keys(table).sort().join(", ")} |`,
  );
  const own = Object.values(ops)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((op) => `| ${op.name} | ${op.source.replaceAll("|", "\\|")} | ${gradientOf(op)} | ${op.samples.length} |`);
  return [
    "# Operators",
    "",
    "Made from the tables in the code by `npx tsx scripts/operators.ts`; do not edit.",
    "",
    "## ONNX operators that are read",
    "",
    `Op sets ${supportedOpsets.min} to ${supportedOpsets.max} of ai.onnx. Each is built from the ops below, so it has their gradients; what`,
    "depends on nothing but constants and shapes is computed when the model is opened. Every rule is tested against ONNX Runtime's own",
    "operator (`src/onnx/import/rules.test.ts`, parts of a sequence by hand beside it). Any other operator is refused when the model is opened, by the name of its node.",
    "",
    "| family | operators |",
    "|---|---|",
    ...imported,
    "",
    "## Our own ops",
    "",
    "Forward: the definition that the op follows. Gradient: the inputs by which it can be differentiated; each rule agrees with central",
    "differences in float64 to 1e-7 on the cases counted in the last column, and on the same cases the lowering to plain ONNX operators",
    "(`portable`) agrees with the float64 reference in ONNX Runtime.",
    "",
    "| op | forward | gradient | cases tested |",
    "|---|---|---|---|",
    ...own,
    "",
  ].join("\n");
}
