/** @file The commands in the order of the help. */
import type { Command } from "../command.js";
import { compare } from "./compare.js";
import { compareCells } from "./compare-cells.js";
import { demo } from "./demo.js";
import { evaluate } from "./evaluate.js";
import { exportRun } from "./export.js";
import { gradcheck } from "./gradcheck.js";
import { inspect } from "./inspect.js";
import { plot } from "./plot.js";
import { predict } from "./predict.js";
import { replay } from "./replay.js";
import { studio } from "./studio.js";
import { train } from "./train.js";

export const commands: readonly Command[] = [
  train,
  compare,
  evaluate,
  predict,
  inspect,
  plot,
  exportRun,
  replay,
  gradcheck,
  demo,
  studio,
  compareCells,
];
