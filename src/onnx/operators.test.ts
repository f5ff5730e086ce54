import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { operatorsMarkdown } from "./operators.js";

test("docs/OPERATORS.md is what the tables say (npx tsx scripts/operators.ts makes it again)", () => {
  expect(readFileSync(new URL("../../docs/OPERATORS.md", import.meta.url), "utf8")).toBe(operatorsMarkdown());
});
