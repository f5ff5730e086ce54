/** @file Writes a run folder while the run goes on: events as they come, pictures after each epoch, the report at the end. */
import { FileError, InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { FileSystem, Platform } from "../platform/types.js";
import type { Predicted } from "../training/metrics.js";
import type { StartEvent, TrainingEvent, WarningEvent } from "../training/types.js";
import { cutEventLog } from "./event-log.js";
import { checkName, join, runFiles, writeTensors } from "./files.js";
import { accuracyPicture, confusionPicture, lossPicture, lrEpochPicture, lrPicture, segments } from "./pictures.js";
import { readRun, readRunInfo } from "./read.js";
import { runReport } from "./report/run-report.js";
import { RunBuilder } from "./run-record.js";
import { formatEvent, type RunConfig, type RunInfo } from "./schema.js";
import { TensorBoardEncoder } from "./tensorboard.js";

/** SVG to PNG bytes; Node and the browser each bring their own. */
export type Rasterize = (svg: string, options: { readonly scale: number }) => Promise<Uint8Array>;

export type PredictionsName = "selected" | "last" | "epoch";

export interface PredictionsAbout {
  readonly part: "validation" | "test";
  readonly epoch: number;
  /** Of the images in the data set, in the order of the predictions. */
  readonly indices: Uint32Array;
}

export interface RecorderOptions {
  readonly platform: Pick<Platform, "files" | "process">;
  /** Without it pictures are written as SVG only. */
  readonly rasterize?: Rasterize;
  /** When pictures are drawn; default "epoch": SVG after every epoch, PNG and report at the end. */
  readonly pictures?: "epoch" | "end";
  /** The clock, for tests. */
  readonly now?: () => Date;
}

/**
 * A new run. Makes the folder and writes run.json; events follow through `record`.
 *
 * @throws {FileError} when the folder already holds a run, or cannot be written
 */
export async function createRun(
  folder: string,
  options: RecorderOptions & { readonly config: RunConfig },
): Promise<RunRecorder> {
  const { platform, config, now = () => new Date() } = options;
  const { files } = platform;
  const path = join(folder, runFiles.info);
  if ((await files.kind(path)) !== "missing") {
    throw new FileError(folder, {
      problem: "already holds a run",
      hint: "continue it with --resume, or choose another folder with --out",
    });
  }
  await files.makeFolder(folder);
  const info: RunInfo = { format: "metalr-run", version: 1, created: now().toISOString(), ...config };
  await files.writeAtomic(path, `${JSON.stringify(info, null, 2)}\n`);
  return new RunRecorder(folder, info, options);
}

/** Continues a run; the start event's `resumedAt` says what of the old events stays. @throws {FileError} not a run folder */
export async function continueRun(folder: string, options: RecorderOptions): Promise<RunRecorder> {
  return new RunRecorder(folder, await readRunInfo(options.platform.files, folder), options);
}

/** Consumes training events in order. One process at a time may record a run. */
export class RunRecorder {
  private readonly files: FileSystem;
  private builder: RunBuilder;
  private readonly tensorBoard: TensorBoardEncoder;
  private readonly tensorBoardPath: string;
  /** What waits to be appended: while one write is under way, the events that come meanwhile share the next one. */
  private lines = "";
  private records: Uint8Array[] = [];
  private writing: Promise<void> = Promise.resolve();
  private failure: unknown = null;
  private started = false;
  private readonly early: WarningEvent[] = [];

  /** Use `createRun` or `continueRun`. */
  constructor(
    readonly folder: string,
    readonly info: RunInfo,
    private readonly options: RecorderOptions,
  ) {
    this.files = options.platform.files;
    this.builder = new RunBuilder(info);
    this.tensorBoard = new TensorBoardEncoder(info.groups, info.created);
    this.tensorBoardPath = join(folder, `${runFiles.tensorBoard}/${this.tensorBoard.fileName}`);
  }

  /**
   * Takes one event. A start event cuts what is there back to its `resumedAt` (warnings that came before it are kept for
   * after it); an epoch event redraws the pictures; an end event writes pictures and the report. Waits for the disk, except
   * after a step event, whose failure comes back with the next call.
   *
   * @throws {FileError} no space, folder gone
   */
  async record(event: TrainingEvent): Promise<void> {
    if (event.type === "start") await this.start(event);
    else if (!this.started) {
      if (event.type !== "warning") throw new InternalError("a run begins with a start event", { got: event.type });
      this.early.push(event);
      return;
    }
    this.take(event);
    if (event.type === "start") for (const warning of this.early.splice(0)) this.take(warning);
    if (event.type === "step") {
      if (this.failure !== null) throw this.failure;
      void this.write();
      return;
    }
    await this.flush();
    if (event.type === "end") {
      await this.illustrate("end");
      await this.files.remove(join(this.folder, runFiles.writer)).catch(() => {}); // of no use from now on, and no harm
    } else if (event.type === "epoch" && this.options.pictures !== "end") await this.illustrate("epoch");
  }

  /**
   * Writes `checkpoints/NAME.safetensors` atomically, after every event so far is with the system: a checkpoint never knows
   * of a step that the log does not.
   *
   * @returns the path inside the run folder, for the checkpoint event
   */
  async writeCheckpoint(
    name: string,
    tensors: ReadonlyMap<string, Tensor>,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<string> {
    return this.writeInto(runFiles.checkpoints, name, tensors, metadata);
  }

  /**
   * Writes logits and labels (of segmentations the voxels of each volume, counted) to `predictions/NAME.safetensors`: folds are pooled from them, and the worst images found.
   *
   * @param name "selected" and "last": the test images after the end; "epoch": those that the last epoch was judged by
   */
  async writePredictions(name: PredictionsName, predictions: Predicted, about?: PredictionsAbout): Promise<string> {
    const tensors = predictions.toTensors();
    if (about === undefined) return this.writeInto(runFiles.predictions, name, tensors);
    const { indices, part, epoch } = about;
    tensors.set("indices", { dtype: "uint32", shape: [indices.length], data: indices });
    return this.writeInto(runFiles.predictions, name, tensors, { part, epoch: String(epoch) });
  }

  /** Waits until everything is with the system. @throws {FileError} what went wrong since the last call */
  async flush(): Promise<void> {
    await this.write();
    if (this.failure !== null) throw this.failure;
  }

  private async writeInto(
    part: string,
    name: string,
    tensors: ReadonlyMap<string, Tensor>,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<string> {
    const file = `${part}/${checkName(name, this.folder)}.safetensors`;
    await this.flush();
    await this.files.makeFolder(join(this.folder, part));
    await writeTensors(this.files, join(this.folder, file), tensors, metadata);
    return file;
  }

  private async start(event: StartEvent): Promise<void> {
    await this.flush();
    const writer = this.options.platform.process;
    if (writer !== undefined)
      await this.files.writeAtomic(join(this.folder, runFiles.writer), `${JSON.stringify(writer)}\n`);
    this.builder = new RunBuilder(this.info);
    const kept = await cutEventLog(this.files, join(this.folder, runFiles.events), event.resumedAt);
    const hole = holeIn(kept, event.resumedAt);
    if (hole !== null) this.early.push({ type: "warning", message: hole });
    const pieces = [this.tensorBoard.header()];
    for (const old of kept) {
      this.builder.add(old);
      const record = this.tensorBoard.encode(old);
      if (record !== null) pieces.push(record);
    }
    await this.files.makeFolder(join(this.folder, runFiles.tensorBoard));
    await this.files.writeAtomic(this.tensorBoardPath, concatenate(pieces));
    this.started = true;
  }

  private take(event: TrainingEvent): void {
    this.builder.add(event);
    this.lines += formatEvent(event);
    const record = this.tensorBoard.encode(event);
    if (record !== null) this.records.push(record);
  }

  /** Appends what waits, after the write under way. Resolves when it is done; a failure is kept in `failure`. */
  private write(): Promise<void> {
    this.writing = this.writing.then(async () => {
      const [lines, records] = [this.lines, this.records];
      if (this.failure !== null || (lines === "" && records.length === 0)) return; // an earlier write has taken them along
      this.lines = "";
      this.records = [];
      try {
        if (lines !== "") await this.files.append(join(this.folder, runFiles.events), lines);
        if (records.length > 0) await this.files.append(this.tensorBoardPath, concatenate(records));
      } catch (error) {
        this.failure = error;
      }
    });
    return this.writing;
  }

  /** A picture that cannot be drawn or written is a warning in the log, not the end of the run. */
  private async illustrate(when: "epoch" | "end"): Promise<void> {
    try {
      await this.draw(when);
    } catch (error) {
      const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
      this.take({ type: "warning", message: `pictures or report were not written: ${why}` });
      await this.flush();
    }
  }

  private async draw(when: "epoch" | "end"): Promise<void> {
    const record = this.builder.record();
    const named = this.info.name === "run" ? "" : `, ${this.info.name}`;
    const title = (what: string) => ({ title: `${what}${named}` });
    const pictures: readonly (readonly [name: string, svg: string | null])[] = [
      ["lr-curves", lrPicture(record, title(`Learning rates, ${this.info.method}`))],
      [
        "lr-curves-epochs",
        segments(record) ? lrEpochPicture(record, title(`Learning rates, ${this.info.method}`)) : null,
      ],
      ["loss", lossPicture(record, title("Loss"))],
      segments(record)
        ? ["dice", accuracyPicture(record, title("Dice"))]
        : ["accuracy", accuracyPicture(record, title("Accuracy"))],
      ["confusion", when === "end" ? confusionPicture(record, title("Test images")) : null],
    ];
    for (const [name, svg] of pictures) {
      if (svg === null) continue;
      await this.files.writeAtomic(join(this.folder, `${name}.svg`), svg);
      if (when === "epoch" || this.options.rasterize === undefined) continue;
      await this.files.writeAtomic(join(this.folder, `${name}.png`), await this.options.rasterize(svg, { scale: 2 }));
    }
    if (when === "end") await writeReport(this.files, this.folder);
  }
}

/** Makes report.html of a run folder anew from what is in the folder. @returns its path */
export async function writeReport(files: FileSystem, folder: string): Promise<string> {
  const { record, damaged } = await readRun(files, folder);
  const path = join(folder, runFiles.report);
  const damage = damaged.map(({ line, problem }) => `events.jsonl, line ${line} is damaged and left out: ${problem}`);
  await files.writeAtomic(path, runReport({ ...record, warnings: [...record.warnings, ...damage] }));
  return path;
}

/** Steps that the checkpoint knows and the log does not, in words: after a power cut, or a damaged line. */
function holeIn(kept: readonly TrainingEvent[], resumedAt: number): string | null {
  const missing = resumedAt - kept.filter((event) => event.type === "step").length;
  if (missing <= 0) return null;
  const steps = missing === 1 ? "1 step is" : `${missing} steps are`;
  return `${steps} missing from ${runFiles.events}, up to step ${resumedAt} of the checkpoint: the curves have a gap there`;
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
