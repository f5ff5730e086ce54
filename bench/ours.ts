/** @file Our side of the bench, as a process of its own that speaks the lines of protocol.ts. */
import { createInterface } from "node:readline";
import { UsageError } from "../src/common/errors.js";
import { Random } from "../src/common/random.js";
import { int64, type Shape, sizeOf, type Tensor, zeros } from "../src/common/tensor.js";
import type { LoweringName } from "../src/compile/types.js";
import { finetune, inferenceGraph, type Method, metalr, type StepProgram } from "../src/methods/index.js";
import { createModel } from "../src/models/index.js";
import type { Model } from "../src/models/types.js";
import { unet } from "../src/models/unet.js";
import { openExecutor } from "../src/platform/node/executor.js";
import { chooseCompiler } from "../src/runtime/lowering.js";
import { type LabelledBatch, Stepper } from "../src/runtime/stepper.js";
import { type Compiler, deviceNames, type Executor, executorNames, precisions } from "../src/runtime/types.js";
import { partKinds, partOfStep } from "./parts.js";
import type { LoadOptions, StepKind } from "./protocol.js";
import { shapeOf, type Workload } from "./workloads.js";

interface Engine {
  readonly executor: Executor;
  readonly compiler: Compiler;
}

const lowerings: readonly (LoweringName | "auto")[] = ["auto", "blocked", "portable"];

/** Two threads, as the peers have. */
async function engine(name: string, place: string, lowering: string, type: string): Promise<Engine> {
  const device = deviceNames.find((d) => d === place);
  if (device === undefined) {
    throw new UsageError("--device", { problem: "no such device", expected: deviceNames.join(", "), got: place });
  }
  const kind = executorNames.find((e) => e === name);
  if (kind === undefined) {
    throw new UsageError("--executor", { problem: "no such executor", expected: executorNames.join(", "), got: name });
  }
  const wanted = lowerings.find((l) => l === lowering);
  if (wanted === undefined) {
    throw new UsageError("--lowering", { problem: "no such lowering", expected: lowerings.join(", "), got: lowering });
  }
  const precision = precisions.find((p) => p === type);
  if (precision === undefined) {
    throw new UsageError("--precision", { problem: "no such type", expected: precisions.join(", "), got: type });
  }
  const executor = await openExecutor({ device, executor: kind, precision, threads: 2 });
  return { executor, compiler: await chooseCompiler(executor, wanted) };
}

/** The same network with its parameters dealt evenly to n groups, in their order. */
function regrouped(model: Model, n: number): Model {
  const count = model.parameters.length;
  if (n > count) {
    throw new UsageError("--groups", {
      problem: "more groups than parameters",
      expected: `1 … ${count}`,
      got: String(n),
    });
  }
  const parameters = model.parameters.map((p, i) => ({ ...p, group: Math.floor((i * n) / count) }));
  return { ...model, parameters, groups: Array.from({ length: n }, (_, j) => `group ${j + 1}`), headGroup: n - 1 };
}

const random = new Random(0, "bench");

const normal = (shape: Shape, scale = 1): Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: sizeOf(shape) }, () => scale * random.normal()),
});

const labels = (shape: Shape, classes: number): Tensor =>
  int64(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.below(classes)),
  );

type Run = () => Promise<unknown>;

/** A program outside of a stepper: state as it starts, gradients and slots random, the same inputs every time. */
async function alone(engine: Engine, step: StepProgram, batches: readonly LabelledBatch[]): Promise<Run> {
  const program = await engine.executor.load(engine.compiler.compile(step.graph));
  const start = new Map(step.state.map((spec) => [`state/${spec.name}`, spec]));
  const [train, validation] = batches;
  const given = new Map([
    ["train/x", train?.x],
    ["train/y", train?.y],
    ["validation/x", validation?.x],
    ["validation/y", validation?.y],
  ]);
  const inputs = Object.fromEntries(
    program.compiled.inputs.map(({ name, shape }) => {
      const spec = start.get(name);
      const slot = name.startsWith("state/adam/") || spec === undefined;
      return [name, given.get(name) ?? (slot ? positive(normal(shape, 1e-3)) : spec.initial())];
    }),
  );
  const into = Object.fromEntries(
    program.compiled.outputs.map(({ name, dtype, shape }) => [name, zeros(dtype, shape) as Tensor]), // of some dtype
  );
  return () => program.run(inputs, into);
}

/** Second moments are not negative, and neither are the scalars of Adam. */
const positive = (t: Tensor): Tensor =>
  t.dtype === "float32" ? { ...t, data: t.data.map((v) => Math.abs(v) + 1e-4) } : t;

async function stepping(
  { executor, compiler }: Engine,
  model: Model,
  method: Method,
  batches: readonly LabelledBatch[],
  microBatch?: number,
): Promise<Run> {
  const [train, validation] = batches;
  if (!train) throw new Error("no training batch");
  const stepper = new Stepper(executor, model, method, { compile: compiler.compile, microBatch });
  const shapes = {
    train: train.x.shape,
    ...(method.needsValidation && validation && { validation: validation.x.shape }),
  };
  await stepper.ready(shapes);
  let step = 0;
  return async () => {
    step++;
    const clock = { step, epoch: 1, epochs: 1, stepsPerEpoch: 1000 };
    const report = await stepper.step(train, method.needsValidation ? (validation ?? null) : null, clock);
    return report["trainLoss"]?.data[0];
  };
}

/** One loaded workload; each kind of step is made when it is first asked for. */
class Bench {
  private readonly runs = new Map<StepKind, Promise<Run>>();

  constructor(
    private readonly engine: Engine,
    private readonly model: Model,
    private readonly batches: readonly LabelledBatch[],
    private readonly microBatch: number | undefined,
  ) {}

  private make(kind: StepKind): Promise<Run> {
    const shape = this.batches[0]?.x.shape ?? [];
    const part = partKinds.find((name) => name === kind);
    if (part)
      return alone(this.engine, partOfStep(part, this.model, { train: shape, validation: shape }), this.batches);
    if (kind === "metalr") return stepping(this.engine, this.model, metalr(), this.batches, this.microBatch);
    if (kind === "finetune") return stepping(this.engine, this.model, finetune(), this.batches);
    if (kind === "inference") return this.inference(shape);
    throw new UsageError("step", { problem: "is not a step of ours", got: kind });
  }

  private async inference(shape: Shape): Promise<Run> {
    const { executor, compiler } = this.engine;
    const program = await executor.load(compiler.compile(inferenceGraph(this.model, shape)));
    const weights = [...this.model.weights].map(([name, t]) => [`state/model/${name}`, t] as const);
    const x = this.batches[0]?.x;
    if (!x) throw new Error("no batch");
    const inputs = { x, ...Object.fromEntries(weights) };
    return () => program.run(inputs);
  }

  /** Compiles a kind of step, once. */
  ready(kind: StepKind): Promise<Run> {
    let run = this.runs.get(kind);
    if (!run) {
      run = this.make(kind);
      this.runs.set(kind, run);
    }
    return run;
  }

  /** Milliseconds; the first step of a kind also compiles it, which is not counted. */
  async step(kind: StepKind): Promise<number> {
    const ready = await this.ready(kind);
    const begin = performance.now();
    await ready();
    return performance.now() - begin;
  }

  facts() {
    const { executor, compiler } = this.engine;
    return { executor: executor.description, lowering: compiler.lowering, groups: this.model.groups.length };
  }
}

type Request =
  | ({ readonly cmd: "load"; readonly workload: Workload } & LoadOptions)
  | { readonly cmd: "step"; readonly kind: StepKind }
  | { readonly cmd: "peak" };

/** @returns what is loaded, and how long it took until a first step could be taken, in ms: network, graph, compiling, session */
async function load(
  request: Extract<Request, { cmd: "load" }>,
): Promise<{ readonly bench: Bench; readonly startMs: number }> {
  const {
    workload: w,
    executor = "auto",
    device = "cpu",
    lowering = "auto",
    precision = "float32",
    groups,
    microBatch,
    kind,
  } = request;
  const chosen = await engine(executor, device, lowering, precision);
  const shape = shapeOf(w);
  // A label an image, or one a voxel.
  const labelled = w.model === "unet3d" ? shape.filter((_, i) => i !== 1) : shape.slice(0, 1);
  const batch = () => ({ x: normal(shape), y: labels(labelled, w.classes) });
  const batches = [batch(), batch()];
  const begin = performance.now();
  const model =
    w.model === "unet3d"
      ? unet("unet3d", { classes: w.classes, width: 16 })
      : createModel(w.model, { classes: w.classes });
  const bench = new Bench(chosen, groups === undefined ? model : regrouped(model, groups), batches, microBatch);
  await bench.ready(kind);
  const startMs = Math.round(performance.now() - begin);
  await bench.step(kind);
  return { bench, startMs };
}

let bench: Bench | null = null;

async function answer(request: Request): Promise<object> {
  if (request.cmd === "load") {
    const loaded = await load(request);
    bench = loaded.bench;
    return { ...bench.facts(), startMs: loaded.startMs };
  }
  // maxRSS is in kilobytes of 1024 bytes.
  if (request.cmd === "peak") return { mb: (process.resourceUsage().maxRSS * 1024) / 1e6 };
  if (bench === null) return { error: "nothing is loaded" };
  return { ms: await bench.step(request.kind) };
}

for await (const line of createInterface({ input: process.stdin })) {
  // The other end is protocol.ts.
  const reply = await answer(JSON.parse(line) as Request).catch((error: unknown) => ({
    error: error instanceof Error ? error.message : String(error),
  }));
  console.log(JSON.stringify(reply));
}
process.exit(0); // ONNX Runtime's threads would keep the process for a while
