/** @file The options of what computes, shared by every command that runs a network, and the executor that they ask for. */

import {
  type DeviceName,
  deviceNames,
  type Executor,
  type ExecutorName,
  executorNames,
  type Precision,
  precisions,
} from "../runtime/types.js";
import { choice, type OptionValues, whole } from "./options.js";

export const speedFlags = {
  device: choice({
    flags: "--device <name>",
    help: `what computes: ${deviceNames.join(", ")}. It is tried first; auto is the processor`,
    default: "auto",
    of: deviceNames,
  }),
  executor: choice({
    flags: "--executor <name>",
    help: "what computes on the processor: onnxruntime, or onednn where npm run build-native made it; auto takes onednn where it is",
    default: "auto",
    of: executorNames,
  }),
  threads: whole({
    flags: "--threads <n>",
    help: "processor threads of a step",
    default: "all cores",
    min: 1,
    max: 1024,
  }),
};

/** For what trains: results depend on it. */
export const precisionFlag = choice({
  flags: "--precision <type>",
  help: "of images between operators: float32, or bfloat16 (with --executor onednn, on processors that have it), faster and less exact",
  default: "float32",
  of: precisions,
});

type SpeedFlags = OptionValues<typeof speedFlags>;
/** What is said of it on a command line. */
export type SpeedChoice = Partial<SpeedFlags>;

/** The part of a command's `Context` that makes executors. */
interface Makes {
  executor(choice: {
    device?: DeviceName;
    executor?: ExecutorName;
    precision?: Precision;
    threads?: number;
  }): Promise<Executor>;
}

/** @throws {RuntimeError} a device or an executor that is not there */
export const executorOf = (
  { executor }: Makes,
  given: Partial<SpeedFlags> & { readonly precision?: Precision | undefined },
): Promise<Executor> =>
  executor({
    ...(given.device !== undefined && { device: given.device }),
    ...(given.executor !== undefined && { executor: given.executor }),
    ...(given.precision !== undefined && { precision: given.precision }),
    ...(given.threads !== undefined && { threads: given.threads }),
  });
