/** @file The options of what computes, shared by every command that runs a network, and the executor that they ask for. */

import { type DeviceName, deviceNames, type Executor } from "../runtime/types.js";
import { choice, type OptionValues, whole } from "./options.js";

export const speedFlags = {
  device: choice({
    flags: "--device <name>",
    help: `what computes: ${deviceNames.join(", ")}. It is tried first; auto is the processor`,
    default: "auto",
    of: deviceNames,
  }),
  threads: whole({
    flags: "--threads <n>",
    help: "processor threads of a step",
    default: "all cores",
    min: 1,
    max: 1024,
  }),
};

type SpeedFlags = OptionValues<typeof speedFlags>;

/** The part of a command's `Context` that makes executors. */
interface Makes {
  executor(choice: { device?: DeviceName; threads?: number }): Promise<Executor>;
}

/** @throws {RuntimeError} a device that is not there */
export const executorOf = ({ executor }: Makes, { device, threads }: Partial<SpeedFlags>): Promise<Executor> =>
  executor({ ...(device !== undefined && { device }), ...(threads !== undefined && { threads }) });
