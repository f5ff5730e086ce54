/** @file What a comparison and its processes tell each other. */
import type { PackedError } from "../../platform/thread-errors.js";
import type { Cell } from "../../records/compare-plan.js";
import type { TrainingEvent } from "../../training/types.js";
import type { CompareFlags } from "./flags.js";

/** To a process that trains cells. */
export type ToWorker =
  | {
      readonly type: "begin";
      readonly given: CompareFlags;
      readonly splitSeed: number;
      readonly threads: number;
      readonly commandLine: string;
    }
  | { readonly type: "train"; readonly cell: Cell; readonly data: string }
  | { readonly type: "stop" };

/** From it. */
export type FromWorker =
  /** Memory at its peak so far, in bytes. */
  | { readonly type: "event"; readonly event: TrainingEvent; readonly peakBytes: number }
  | { readonly type: "trained"; readonly finished: boolean }
  | { readonly type: "failed"; readonly error: PackedError };
