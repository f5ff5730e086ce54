/** @file TensorBoard event files: TFRecord framing around Event messages that hold scalars. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Evaluation, TrainingEvent } from "../training/types.js";
import { maskedCrc32c } from "./crc32c.js";

/** One TFRecord: length (uint64), its masked CRC, the bytes, their masked CRC; little-endian. */
function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setUint32(0, data.length, true); // the upper half stays 0: an event is far below 4 GB
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}

/** The first record of every file. `wallTime` in seconds since 1970. */
export function fileHeader(wallTime: number): Uint8Array {
  const event = new BinaryWriter();
  event.tag(1, WireType.Bit64).double(wallTime);
  event.tag(3, WireType.LengthDelimited).string("brain.Event:2"); // Event.file_version, which TensorBoard asks for
  return tfRecord(event.finish());
}

/** One record with a scalar for each tag (Event.summary.value.simple_value, float32). */
export function scalars(wallTime: number, step: number, values: readonly (readonly [tag: string, value: number])[]) {
  const event = new BinaryWriter();
  event.tag(1, WireType.Bit64).double(wallTime);
  event.tag(2, WireType.Varint).int64(step);
  event.tag(5, WireType.LengthDelimited).fork();
  for (const [tag, value] of values) {
    event.tag(1, WireType.LengthDelimited).fork();
    event.tag(1, WireType.LengthDelimited).string(tag);
    event.tag(2, WireType.Bit32).float(value);
    event.join();
  }
  event.join();
  return tfRecord(event.finish());
}

/**
 * Turns training events into records. Tags: `loss/train`, `loss/validation` (at the look-ahead parameters), `accuracy/train`,
 * `lr/<group>`, `hypergradient/<group>` over steps; at the last step of each epoch `loss/<part>-epoch`, `accuracy/<part>-epoch` for
 * train, validation and test, and `balanced-accuracy/<part>`, `auc/<part>` (of segmentations `dice/<part>-epoch`) for validation and test.
 */
export class TensorBoardEncoder {
  private startSeconds: number;

  constructor(
    private readonly groups: readonly string[],
    /** ISO 8601; when the run was created. */
    private readonly created: string,
  ) {
    this.startSeconds = seconds(created);
  }

  /** The same for all processes of a run, so that a resumed run continues its file. */
  get fileName(): string {
    return `events.out.tfevents.${String(Math.floor(seconds(this.created))).padStart(10, "0")}.metalr`;
  }

  header(): Uint8Array {
    return fileHeader(seconds(this.created));
  }

  /** The record of an event; null for one that has no scalars. */
  encode(event: TrainingEvent): Uint8Array | null {
    if (event.type === "start") this.startSeconds = seconds(event.time);
    if (event.type !== "step" && event.type !== "epoch") return null;
    const wallTime = this.startSeconds + event.elapsedMs / 1000;
    const values: [string, number][] = [];
    if (event.type === "step") {
      values.push(["loss/train", event.trainLoss], ["accuracy/train", event.trainAccuracy]);
      if (typeof event.trainDice === "number") values.push(["dice/train", event.trainDice]);
      if (event.validationLoss !== undefined) values.push(["loss/validation", event.validationLoss]);
      for (const [j, group] of this.groups.entries()) {
        const rate = event.lr[j];
        const slope = event.hypergradient?.[j];
        if (rate !== undefined) values.push([`lr/${group}`, rate]);
        if (slope !== undefined) values.push([`hypergradient/${group}`, slope]);
      }
    } else {
      values.push(["loss/train-epoch", event.trainLoss], ["accuracy/train-epoch", event.trainAccuracy]);
      if (event.validation !== undefined) values.push(...evaluationScalars("validation", event.validation));
      if (event.test !== undefined) values.push(...evaluationScalars("test", event.test));
    }
    return scalars(wallTime, event.step, values);
  }
}

function evaluationScalars(part: string, e: Evaluation): [string, number][] {
  const values: [string, number][] = [
    [`loss/${part}-epoch`, e.loss],
    [`accuracy/${part}-epoch`, e.accuracy],
    [`balanced-accuracy/${part}`, e.balancedAccuracy],
  ];
  if (e.macroAuc !== null) values.push([`auc/${part}`, e.macroAuc]);
  if (e.dice) values.push([`dice/${part}-epoch`, e.dice.mean]);
  return values;
}

/** Seconds since 1970; 0 for a time that cannot be read. */
const seconds = (iso: string): number => {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? 0 : ms / 1000;
};
