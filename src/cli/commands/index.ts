/** @file The commands in the order of the help. */
import type { Command } from "../command.js";
import { plot } from "./plot.js";
import { replay } from "./replay.js";
import { train } from "./train.js";

export const commands: readonly Command[] = [train, plot, replay];
