/** @file Keeps the training state in two sets of buffers that swap roles, and takes one step with one run. */
import { InternalError, TrainingError } from "../common/errors.js";
import { formatShape, type Shape, sameShape, type Tensor, zeros } from "../common/tensor.js";
import { type KeptWeight, reorderWeight } from "../compile/blocked/layout.js";
import type { Compiled } from "../compile/types.js";
import type { Graph } from "../graph/value.js";
import {
  type Clock,
  type Method,
  phaseAt,
  phasesOf,
  type StateSpec,
  type StepProgram,
  type StepShapes,
} from "../methods/types.js";
import type { Model } from "../models/types.js";
import { chooseCompiler } from "./lowering.js";
import { loadInPieces } from "./micro.js";
import type { DeviceMemory, DeviceTensor, Executor, LoadOptions, Program, Tensors } from "./types.js";

/** Images float32 [N, C, …] and int64 labels [N, …]. */
export interface LabelledBatch {
  readonly x: Tensor;
  readonly y: Tensor;
}

/** Report of one step, by the names in `StepProgram.report`. */
export type StepReport = Readonly<Record<string, Tensor>>;

export interface StepperOptions {
  /** Graph → bytes; default the fastest lowering that the executor can run. */
  readonly compile?: (graph: Graph) => Compiled;
  /**
   * Images at once, at most: larger batches are gone through in micro-batches, with less memory and the same step (to rounding), but
   * for batch norm, which sees each micro-batch's statistics. Default: whole batches.
   */
  readonly microBatch?: number | undefined;
}

interface Prepared {
  readonly program: Program;
  readonly state: readonly StateSpec[];
}

/**
 * Training state and compiled steps of one model and method. Steps are compiled once for each pair of batch shapes.
 * Not safe for concurrent calls: await one step before the next.
 */
export class Stepper {
  private readonly prepared = new Map<string, Promise<Prepared>>();
  private current = new Map<string, Tensor>();
  private spare = new Map<string, Tensor>();
  /** Images of the largest batch so far; smaller ones come at the end of an epoch. */
  private fullBatch = 0;
  /** `current` in C order, until it changes. */
  private inOrder: ReadonlyMap<string, Tensor> | null = null;
  /** State on the executor's device, where it has a memory of its own; `current` then lags behind until `sync`. */
  private onDevice = new Map<string, DeviceTensor>();
  private lags = false;
  /** State tensors that the compiled step keeps in a layout of its own. */
  private readonly kept = new Map<string, KeptWeight>();

  constructor(
    readonly executor: Executor,
    readonly model: Model,
    readonly method: Method,
    private readonly options: StepperOptions = {},
  ) {}

  private async prepare(shapes: StepShapes): Promise<Prepared> {
    const compile = this.options.compile ?? (await chooseCompiler(this.executor)).compile;
    const images = shapes.train[0] ?? 0;
    this.fullBatch = Math.max(this.fullBatch, images);
    const { program, step } = await this.load(shapes, compile, images < this.fullBatch);
    // The layout depends on a tensor's shape alone, so every compiled step of one stepper agrees on it.
    for (const { name, kept } of program.compiled.inputs) {
      if (kept && name.startsWith("state/")) this.kept.set(name.slice("state/".length), kept);
    }
    this.inOrder = null;
    for (const spec of step.state) {
      if (!this.current.has(spec.name)) this.current.set(spec.name, this.reorder(spec.name, spec.initial(), "pack"));
      if (spec.changes && !this.executor.memory && !this.spare.has(spec.name)) {
        this.spare.set(spec.name, zeros(spec.dtype, spec.shape) as Tensor); // a TensorOf of some dtype is a Tensor
      }
    }
    return { program, state: step.state };
  }

  /** The step of these batches as one program, whole or in micro-batches. */
  private async load(
    shapes: StepShapes,
    compile: (graph: Graph) => Compiled,
    seldom: boolean,
  ): Promise<{ readonly program: Program; readonly step: StepProgram }> {
    const { executor, model, method } = this;
    const { microBatch } = this.options;
    const kept = (step: StepProgram): LoadOptions => ({
      seldom,
      ...(executor.memory && {
        resident: step.state.filter((s) => s.changes && isKept(s.name)).map((s) => `next/${s.name}`),
      }),
    });
    const largest = Math.max(shapes.train[0] ?? 0, shapes.validation?.[0] ?? 0);
    if (microBatch !== undefined && largest > microBatch) {
      return loadInPieces({ executor, compile, model, method, shapes, microBatch }, kept);
    }
    const step = method.step(model, shapes);
    return { program: await executor.load(compile(step.graph), kept(step)), step };
  }

  /**
   * Compiles for these shapes now, all phases of the method, so that the first step does not wait; makes the state if there is none.
   * @returns the step of the first phase
   */
  async ready({ train, validation }: StepShapes): Promise<Compiled> {
    const compiled: Compiled[] = [];
    for (const phase of phasesOf(this.method)) {
      const shapes = {
        train,
        ...(phase.validation && validation && { validation }),
        ...(phase.name && { phase: phase.name }),
      };
      compiled.push((await this.programFor(shapes)).program.compiled);
    }
    return compiled[0]!; // a method has a phase at least
  }

  private async programFor(shapes: StepShapes): Promise<Prepared> {
    const { train, validation, phase = "" } = shapes;
    const key = `${formatShape(train)} ${validation ? formatShape(validation) : ""} ${phase}`;
    let found = this.prepared.get(key);
    if (!found) {
      found = this.prepare(shapes);
      this.prepared.set(key, found);
      found.catch(() => this.prepared.delete(key)); // the caller sees the error; a later call may try again
    }
    return found;
  }

  /**
   * One step. The state afterwards is that of the step.
   * @throws {TrainingError} when a loss is not a number: then the state is still that before the step
   */
  async step(train: LabelledBatch, validation: LabelledBatch | null, clock: Clock): Promise<StepReport> {
    const phase = phaseAt(this.method, clock);
    const shapes: { train: Shape; validation?: Shape; phase?: string } = { train: train.x.shape };
    if (phase.name) shapes.phase = phase.name;
    if (phase.validation) {
      if (!validation) throw new InternalError(`${this.method.name} needs a validation batch`);
      shapes.validation = validation.x.shape;
    }
    const { program, state } = await this.programFor(shapes);
    const inputs: Record<string, Tensor | DeviceTensor> = { "train/x": train.x, "train/y": train.y };
    if (shapes.validation && validation) {
      inputs["validation/x"] = validation.x;
      inputs["validation/y"] = validation.y;
    }
    for (const [name, value] of Object.entries(this.method.scalars(clock))) {
      inputs[`scalar/${name}`] = { dtype: "float32", shape: [], data: Float32Array.of(value) };
    }
    const into: Record<string, Tensor> = {};
    for (const { name, changes } of state) {
      inputs[`state/${name}`] = this.current.get(name)!; // prepare made it
      const next = changes && this.spare.get(name);
      if (next) into[`next/${name}`] = next;
    }
    if (this.executor.memory) return this.stepOnDevice(this.executor.memory, { program, state }, inputs, clock);
    const report = reportOf(await program.run(inputs, into));
    this.refuseNotANumber(report, clock);
    this.inOrder = null;
    for (const { name, changes } of state) {
      if (!changes) continue;
      const [now, next] = [this.current.get(name)!, this.spare.get(name)!]; // both exist: prepare
      this.current.set(name, next);
      this.spare.set(name, now);
    }
    return report;
  }

  /** The same with the state on the device: only batches go there, and only the report comes back. */
  private async stepOnDevice(
    memory: DeviceMemory,
    { program, state }: Prepared,
    inputs: Record<string, Tensor | DeviceTensor>,
    clock: Clock,
  ): Promise<StepReport> {
    const absent = state.filter(({ name }) => isKept(name) && !this.onDevice.has(name));
    const values = new Map(absent.map(({ name }) => [name, this.current.get(name)!])); // prepare made it
    for (const [name, t] of await memory.write(values)) this.onDevice.set(name, t);
    for (const { name } of state) {
      const t = this.onDevice.get(name);
      if (t) inputs[`state/${name}`] = t;
    }
    if (!program.place) throw new InternalError("an executor with a memory of its own runs no program there");
    const { host, device } = await program.place(inputs);
    const report = reportOf(host);
    try {
      this.refuseNotANumber(report, clock);
    } catch (error) {
      for (const t of Object.values(device)) t.dispose();
      throw error;
    }
    this.inOrder = null;
    for (const { name, changes } of state) {
      if (!changes) continue;
      const [moved, here] = [device[`next/${name}`], host[`next/${name}`]];
      if (moved) {
        this.onDevice.get(name)?.dispose();
        this.onDevice.set(name, moved);
        this.lags = true;
      } else if (here) this.current.set(name, here);
    }
    return report;
  }

  /** Brings the state home from a device; call it before `state` is read after steps. Does nothing on the processor. */
  async sync(): Promise<void> {
    if (!this.lags || !this.executor.memory) return;
    for (const [name, t] of await this.executor.memory.read(this.onDevice)) this.current.set(name, t);
    this.lags = false;
    this.inOrder = null;
  }

  private refuseNotANumber(report: StepReport, clock: Clock): void {
    for (const name of ["trainLoss", "validationLoss", "hypergradient"] as const) {
      const values = report[name]?.data ?? [];
      for (const v of values) {
        if (Number.isFinite(Number(v))) continue;
        throw new TrainingError(`step ${clock.step} (epoch ${clock.epoch})`, {
          problem: `the ${lossNames[name]} is not a finite number`,
          got: String(v),
          hint: "use a smaller --lr; the last checkpoint is whole and can be resumed",
        });
      }
    }
  }

  /** Between C order and the layout that the compiled step keeps this tensor in. */
  private reorder(name: string, t: Tensor, direction: "pack" | "unpack"): Tensor {
    const kept = this.kept.get(name);
    if (!kept || t.dtype !== "float32") return t;
    return { ...t, data: reorderWeight(t.data, t.shape, kept, direction) };
  }

  /** The state by name, in C order; some tensors are the stepper's own: copy what must outlive the next step. */
  get state(): ReadonlyMap<string, Tensor> {
    if (this.lags) throw new InternalError("the state is on the device: call sync() first");
    this.inOrder ??= new Map([...this.current].map(([name, t]) => [name, this.reorder(name, t, "unpack")]));
    return this.inOrder;
  }

  /** Learning rates per layer group; writing them changes the next step. */
  get lr(): Float32Array {
    const lr = this.current.get("lr");
    if (lr?.dtype !== "float32") throw new InternalError("the state has no learning rates: call ready() first");
    return lr.data;
  }

  /** Rates that reached the layer groups in the last step: `lr` times a schedule, where the method has one. */
  get effectiveLr(): Float32Array {
    const rates = this.current.get("effectiveLr");
    return rates?.dtype === "float32" ? rates.data : this.lr;
  }

  /**
   * Replaces the state, as when a run is resumed. Call `ready` first, so that every name and shape is known.
   * @throws {TrainingError} when a name is missing or a shape differs
   */
  restore(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, now] of this.current) {
      const saved = state.get(name);
      if (!saved || saved.dtype !== now.dtype || !sameShape(saved.shape, now.shape)) {
        throw new TrainingError("checkpoint", {
          problem: saved ? `"${name}" does not fit this run` : `"${name}" is missing`,
          expected: `${now.dtype}${formatShape(now.shape)}`,
          ...(saved && { got: `${saved.dtype}${formatShape(saved.shape)}` }),
          hint: "resume with the model, method and optimizer that the run was started with",
        });
      }
    }
    this.leaveDevice();
    this.inOrder = null;
    for (const name of this.current.keys()) {
      const saved = state.get(name)!; // checked above
      const copy = { ...saved, data: saved.data.slice() } as Tensor; // a copy of the same dtype
      this.current.set(name, this.reorder(name, copy, "pack"));
    }
  }

  private leaveDevice(): void {
    for (const t of this.onDevice.values()) t.dispose();
    this.onDevice.clear();
    this.lags = false;
  }

  async close(): Promise<void> {
    this.leaveDevice();
    for (const p of this.prepared.values()) await (await p).program.close();
    this.prepared.clear();
  }
}

/** Rates are read and written between steps; the rest stays where it is computed. */
const isKept = (name: string): boolean => name !== "lr" && name !== "effectiveLr";

/** The report among a step's outputs. */
function reportOf(outputs: Tensors): StepReport {
  const report: Record<string, Tensor> = {};
  for (const [name, t] of Object.entries(outputs)) {
    if (name.startsWith("report/")) report[name.slice("report/".length)] = t;
  }
  return report;
}

const lossNames = {
  trainLoss: "training loss",
  validationLoss: "validation loss",
  hypergradient: "hypergradient",
} as const;
