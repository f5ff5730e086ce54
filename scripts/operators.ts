/** @file Writes docs/OPERATORS.md from the tables of operators: `npx tsx scripts/operators.ts`. */
import { writeFileSync } from "node:fs";
import { operatorsMarkdown } from "../src/onnx/operators.js";

writeFileSync(new URL("../docs/OPERATORS.md", import.meta.url), operatorsMarkdown());
