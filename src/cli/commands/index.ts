/** @file The commands in the order of the help. */
import type { Command } from "../command.js";
import { plot } from "./plot.js";
import { replay } from "./replay.js";

export const commands: readonly Command[] = [plot, replay];
