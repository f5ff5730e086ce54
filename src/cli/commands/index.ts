/** @file The commands in the order of the help. */
import type { Command } from "../command.js";
import { plot } from "./plot.js";

export const commands: readonly Command[] = [plot];
