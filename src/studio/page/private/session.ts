/** @file One training in the page: the worker, its files, its events as curves, and the runs that the browser keeps. */
import type { TrainField } from "../../../cli/train/fields.js";
import { MetalrError, RuntimeError } from "../../../common/errors.js";
import type { PickedFile } from "../../../platform/web/files.js";
import { type WebGpu, webGpu } from "../../../platform/web/web-gpu.js";
import { CurveBuffer, type Curves } from "../../../records/curves.js";
import type { EndEvent, EpochEvent, StartEvent, StepEvent, TrainingEvent } from "../../../training/types.js";
import type { Look, StoredRun, Trained } from "../../../web/protocol.js";
import { closed, openTrainer, type Trainer } from "../../../web/trainer.js";
import { type Provider, setupFor, startWorker } from "./assets.js";

/** Most points of a curve, halved. */
const CAPACITY = 1024;

/** What is known of the training that is shown. */
export interface Live {
  readonly folder: string;
  readonly state: "preparing" | "running" | "stopping" | "stopped" | "finished";
  readonly start: StartEvent | null;
  readonly last: StepEvent | null;
  readonly epochs: readonly EpochEvent[];
  readonly end: EndEvent | null;
  readonly curves: Curves;
  readonly imagesPerSecond: number | null;
  readonly leftMs: number | null;
  readonly warnings: readonly string[];
}

export interface State {
  readonly ready: boolean;
  readonly fields: readonly TrainField[];
  readonly values: Readonly<Record<string, string>>;
  readonly errors: Readonly<Record<string, string>>;
  readonly data: readonly PickedFile[] | null;
  readonly weights: PickedFile | null;
  readonly look: Look | null;
  readonly looking: boolean;
  readonly live: Live | null;
  readonly trained: Trained | null;
  readonly runs: readonly StoredRun[];
  /** What computes: WebGPU where there is a graphics card for it, until it has failed. */
  readonly provider: Provider;
  readonly gpu: WebGpu;
  /** Why WebAssembly computes although there is WebGPU; null where it has not failed. */
  readonly gpuProblem: string | null;
  /** Of WebAssembly; 0 for as many as there are processors. */
  readonly threads: number;
  /** What went wrong last, as its lines. */
  readonly problem: string | null;
}

export const initial: State = {
  ready: false,
  fields: [],
  values: { maxEpoch: "10", batchSize: "32" },
  errors: {},
  data: null,
  weights: null,
  look: null,
  looking: false,
  live: null,
  trained: null,
  runs: [],
  provider: "wasm",
  gpu: "none",
  gpuProblem: null,
  threads: 0,
  problem: null,
};

const noCurves: Curves = { steps: new Float64Array(0), values: [] };

const worded = (error: unknown): string =>
  error instanceof MetalrError ? error.message : error instanceof Error ? error.message : String(error);

/** Holds the state and changes it; the page draws what it is told. */
export class Session {
  private state: State = initial;
  private begun = false;
  private trainer: Promise<Trainer> | null = null;
  private buffer: CurveBuffer | null = null;
  private lastStep = 0;
  private readonly recent: { readonly at: number; readonly images: number }[] = [];
  private drawing = false;
  private looks = 0;

  private told: ((state: State) => void) | null = null;

  /** Tells how it stands, now and whenever that changes. @returns what ends it; the training itself goes on */
  listen(tell: (state: State) => void): () => void {
    this.told = tell;
    tell(this.state);
    return () => {
      if (this.told === tell) this.told = null;
    };
  }

  private set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    this.told?.(this.state);
  }

  /** Starts the worker. @param allowed resolves when the page may start it */
  async begin(allowed: Promise<unknown>): Promise<void> {
    if (this.begun) return;
    this.begun = true;
    await this.attempt(async () => {
      const gpu = await webGpu();
      this.set({ gpu, provider: gpu === "hardware" ? "webgpu" : "wasm" });
      await allowed;
      await this.openWorker();
      this.set({ ready: true });
    });
  }

  /** A new worker in the place of one that may be there; what is asked meanwhile waits for the new one. */
  private async openWorker(): Promise<void> {
    const before = this.trainer;
    const opening = openTrainer({
      worker: startWorker(),
      onEvent: (event) => this.take(event),
      ...setupFor(this.state.provider, this.state.threads),
    });
    this.trainer = opening;
    before?.then(
      (old) => old.close(),
      () => {}, // it never started, and has said so
    );
    const trainer = await opening;
    this.set({ fields: await trainer.fields(), runs: await trainer.runs() });
  }

  private async ask<T>(what: (worker: Trainer) => Promise<T>): Promise<T> {
    if (this.trainer === null) throw new Error("the training worker is not started yet");
    return what(await this.trainer);
  }

  /** A worker is closed only for another one, which is given the same files: nothing is wrong with that. */
  private fail(error: unknown, change: Partial<State> = {}): void {
    if (error instanceof RuntimeError && error.problem === closed) return;
    this.set({ ...change, problem: worded(error) });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.fail(error);
    }
  }

  get busy(): boolean {
    return ["preparing", "running", "stopping"].includes(this.state.live?.state ?? "");
  }

  pickData(data: readonly PickedFile[]): Promise<void> {
    return this.files({ data });
  }

  pickWeights(weights: PickedFile | null): Promise<void> {
    return this.files({ weights });
  }

  private async files(change: Pick<State, "data"> | Pick<State, "weights">): Promise<void> {
    this.set({ ...change, problem: null });
    await this.attempt(() => this.reopen());
  }

  private async reopen(): Promise<void> {
    const { data, weights } = this.state;
    if (data === null) return;
    await this.ask((w) => w.open({ data, weights }));
    await this.look();
  }

  /** Counts and pictures for the files and options as they are. */
  private async look(): Promise<void> {
    const mine = ++this.looks;
    this.set({ looking: true });
    try {
      const look = await this.ask((w) => w.look(this.state.values));
      if (mine === this.looks) this.set({ look });
    } catch (error) {
      if (mine === this.looks) this.fail(error, { look: null });
    } finally {
      if (mine === this.looks) this.set({ looking: false });
    }
  }

  async setValue(key: string, value: string): Promise<void> {
    const values = { ...this.state.values, [key]: value };
    this.set({ values, problem: null });
    await this.attempt(async () => {
      const errors = await this.ask((w) => w.check(values));
      if (values !== this.state.values) return; // typed on meanwhile
      this.set({ errors });
      if (Object.keys(errors).length === 0 && this.state.data !== null) await this.look();
    });
  }

  /** Another provider, or other threads, is another ONNX Runtime: a new worker. */
  async setRuntime(runtime: Partial<Pick<State, "provider" | "threads">>): Promise<void> {
    this.set(runtime);
    await this.attempt(async () => {
      await this.openWorker();
      await this.reopen();
    });
  }

  async start(now: Date): Promise<void> {
    const name = (this.state.look?.data.name ?? "run").replace(/\.\w+$/, "").replace(/[^\w.-]+/g, "-");
    const time = now.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
    const folder = `${time}-${name.replace(/^[-.]+/, "") || "run"}`;
    await this.attempt(() => this.train(folder, this.state.values, false));
  }

  /** Goes on with a run that was stopped, or that ended with its page: over the files that are open. */
  async resume(folder: string): Promise<void> {
    await this.attempt(async () => {
      const { info } = await this.ask((w) => w.events(folder));
      const { values } = info.options;
      const stored =
        typeof values === "object" && values !== null
          ? Object.fromEntries(Object.entries(values).filter((e): e is [string, string] => typeof e[1] === "string"))
          : this.state.values;
      this.set({ values: stored });
      await this.train(folder, stored, true);
    });
  }

  private async train(folder: string, options: State["values"], resume: boolean): Promise<void> {
    const earlier = resume ? (await this.ask((w) => w.events(folder))).events : [];
    this.clear(folder);
    this.set({ problem: null, trained: null });
    for (const event of earlier) if (event.type !== "end") this.take(event);
    this.change({ state: "preparing" });
    try {
      const trained = await this.ask((w) => w.train({ folder, options, resume }));
      this.set({ trained });
      this.draw();
      this.change({ state: trained.reason });
    } catch (error) {
      const { provider } = this.state;
      if (provider === "webgpu" && error instanceof RuntimeError && !resume && this.lastStep === 0) {
        await this.leaveGpu(error, folder);
        return this.train(folder, options, false);
      }
      this.fail(error);
      this.change({ state: "stopped" });
    }
    this.set({ runs: await this.ask((w) => w.runs()) });
  }

  /** WebGPU has failed before the first step: WebAssembly takes its place, and the run begins anew. */
  private async leaveGpu({ got, problem }: RuntimeError, folder: string): Promise<void> {
    this.set({ provider: "wasm", gpuProblem: got ?? problem });
    await this.openWorker();
    await this.reopen();
    await this.ask((w) => w.remove(folder));
  }

  async stop(): Promise<void> {
    this.change({ state: "stopping" });
    await this.attempt(() => this.ask((w) => w.stop()));
  }

  /** Shows a run that the browser keeps. */
  async show(folder: string): Promise<void> {
    await this.attempt(async () => {
      const { events } = await this.ask((w) => w.events(folder));
      this.clear(folder);
      this.set({ trained: null, problem: null });
      for (const event of events) this.take(event);
      this.draw();
      this.change({ state: this.state.live?.end?.reason === "finished" ? "finished" : "stopped" });
    });
  }

  async remove(folder: string): Promise<void> {
    await this.attempt(async () => {
      await this.ask((w) => w.remove(folder));
      if (this.state.live?.folder === folder) this.set({ live: null, trained: null });
      this.set({ runs: await this.ask((w) => w.runs()) });
    });
  }

  /** Offers a file of a run as a download: it goes from this page to this machine's disk. */
  async download(folder: string, file: string): Promise<void> {
    await this.attempt(async () => {
      const found = await this.ask((w) => w.file(folder, file));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(found);
      link.download = `${folder}-${file}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  private clear(folder: string): void {
    this.buffer = null;
    this.lastStep = 0;
    this.recent.length = 0;
    const live: Live = {
      folder,
      state: "preparing",
      start: null,
      last: null,
      epochs: [],
      end: null,
      curves: noCurves,
      imagesPerSecond: null,
      leftMs: null,
      warnings: [],
    };
    this.set({ live });
  }

  private change(change: Partial<Live>): void {
    const { live } = this.state;
    if (live !== null) this.set({ live: { ...live, ...change } });
  }

  private take(event: TrainingEvent): void {
    const { live } = this.state;
    if (live === null) return;
    switch (event.type) {
      case "start":
        this.buffer ??= new CurveBuffer(3 + 2 * event.groups.length, CAPACITY);
        this.recent.length = 0;
        this.change({ start: event, state: live.state === "stopping" ? "stopping" : "running", end: null });
        break;
      case "step":
        this.step(event);
        break;
      case "epoch":
        this.change({ epochs: [...live.epochs.filter((e) => e.epoch < event.epoch), event] });
        break;
      case "warning":
        this.change({ warnings: [...new Set([...live.warnings, event.message])] });
        break;
      case "end":
        this.change({ end: event });
        break;
      case "checkpoint":
        break;
    }
  }

  private step(event: StepEvent): void {
    const d = event.lr.length;
    if (event.step <= this.lastStep || this.buffer === null) return; // known from before a resume
    this.lastStep = event.step;
    this.buffer.push(event.step, (j) => {
      if (j === 0) return event.trainLoss;
      if (j === 1) return event.trainAccuracy;
      if (j === 2) return event.validationLoss ?? Number.NaN;
      return (j < 3 + d ? event.lr[j - 3] : event.hypergradient?.[j - 3 - d]) ?? Number.NaN;
    });
    this.recent.push({ at: event.elapsedMs, images: event.images });
    if (this.recent.length > 20) this.recent.shift();
    const { live } = this.state;
    if (live !== null) this.state = { ...this.state, live: { ...live, last: event } };
    // Many steps a second are drawn once a frame.
    if (this.drawing) return;
    this.drawing = true;
    setTimeout(() => {
      this.drawing = false;
      this.draw();
    }, 60);
  }

  private draw(): void {
    const { live } = this.state;
    if (live === null || live.last === null || this.buffer === null) return;
    const total = (live.start?.epochs ?? 0) * (live.start?.stepsPerEpoch ?? 0);
    const [first] = this.recent;
    const ms = live.last.elapsedMs - (first?.at ?? 0);
    const images = this.recent.slice(1).reduce((sum, r) => sum + r.images, 0);
    const known = this.recent.length > 1 && ms > 0;
    this.change({
      curves: this.buffer.points(),
      imagesPerSecond: known ? (1000 * images) / ms : null,
      leftMs: known ? ((total - live.last.step) * ms) / (this.recent.length - 1) : null,
    });
  }
}

/** The one training of this page; it goes on while other pages of the studio are shown. */
export const session = new Session();
