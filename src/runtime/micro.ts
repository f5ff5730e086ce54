/** @file A step over micro-batches as one program: gathers the means of both batches piece by piece, then updates. */
import { InternalError } from "../common/errors.js";
import { type Shape, sizeOf, type Tensor, zeros } from "../common/tensor.js";
import type { Compiled, Port } from "../compile/types.js";
import type { Graph } from "../graph/value.js";
import { inPieces, microBatches } from "../methods/pieces.js";
import type { BatchName, Method, StepProgram, StepShapes } from "../methods/types.js";
import type { Model } from "../models/types.js";
import type { DeviceTensor, Executor, Feeds, LoadOptions, Placed, Program, Tensors } from "./types.js";

export interface MicroOptions {
  readonly executor: Executor;
  readonly compile: (graph: Graph) => Compiled;
  readonly model: Model;
  readonly method: Method;
  /** Of the whole batches. */
  readonly shapes: StepShapes;
  /** Images of a micro-batch at most. */
  readonly microBatch: number;
}

interface Piece {
  readonly batch: BatchName;
  readonly program: Program;
  readonly sums: readonly { readonly name: string; readonly shape: Shape }[];
  readonly rows: readonly string[];
}

/**
 * The program of a whole step, with the step's own inputs and outputs, that runs over micro-batches.
 * @throws {UsageError} a method whose steps need a whole batch at once
 */
export async function loadInPieces(
  { executor, compile, model, method, shapes, microBatch }: MicroOptions,
  loadOptions: (step: StepProgram) => LoadOptions,
): Promise<{ readonly program: Program; readonly step: StepProgram }> {
  const sizesOf = (shape: Shape | undefined): readonly number[] =>
    shape ? microBatches(shape[0] ?? 0, microBatch) : [];
  const sizes = { train: sizesOf(shapes.train), validation: sizesOf(shapes.validation) };
  const resized = (shape: Shape, n: number): Shape => [n, ...shape.slice(1)];
  // As even as can be: the micro-batches of a batch have one size or two.
  const distinct = { train: [...new Set(sizes.train)], validation: [...new Set(sizes.validation)] };
  const built = Array.from({ length: Math.max(distinct.train.length, distinct.validation.length) }, (_, i) => {
    const [train = 1, validation] = [
      distinct.train[i] ?? distinct.train[0],
      distinct.validation[i] ?? distinct.validation[0],
    ];
    const step = method.step(model, {
      ...shapes,
      train: resized(shapes.train, train),
      ...(shapes.validation && validation !== undefined && { validation: resized(shapes.validation, validation) }),
    });
    return { step, pieces: inPieces(method.name, step) };
  });
  const [first] = built;
  if (!first) throw new InternalError("a step of no images");

  const load = loadOptions(first.step);
  const pieces = new Map<string, Piece>();
  for (const [i, { pieces: cut }] of built.entries()) {
    for (const { batch, graph, sums, rows } of cut.gather) {
      const size = distinct[batch][i];
      if (size === undefined) continue; // made for the other batch's second size
      const resident = load.resident && sums.map((s) => `next/${s.name}`);
      const program = await executor.load(compile(graph), {
        ...load,
        seldom: load.seldom === true || i > 0,
        ...(resident && { resident }),
      });
      pieces.set(`${batch} ${size}`, { batch, program, sums, rows });
    }
  }
  const apply = await executor.load(compile(first.pieces.apply), load);
  const batches = first.pieces.gather.map((g) => g.batch);
  const program = new MicroProgram({ pieces, apply, batches, sizes, shapes, keeps: load.resident !== undefined });
  return { program, step: first.step };
}

interface Parts {
  readonly pieces: ReadonlyMap<string, Piece>;
  readonly apply: Program;
  readonly batches: readonly BatchName[];
  readonly sizes: Readonly<Record<BatchName, readonly number[]>>;
  readonly shapes: StepShapes;
  /** Whether means stay on the device. */
  readonly keeps: boolean;
}

class MicroProgram implements Program {
  readonly compiled: Compiled;
  /** Means so far, and where the next ones are written to, by name. */
  private sums = new Map<string, Tensor>();
  private spare = new Map<string, Tensor>();

  constructor(private readonly parts: Parts) {
    const programs = [...[...parts.pieces.values()].map((p) => p.program), parts.apply];
    const inputs = new Map<string, Port>();
    for (const { compiled } of programs) for (const port of compiled.inputs) inputs.set(port.name, port);
    for (const { sums } of parts.pieces.values()) {
      for (const { name, shape } of sums) {
        this.sums.set(name, zeros("float32", shape));
        if (!parts.keeps) this.spare.set(name, zeros("float32", shape));
      }
    }
    this.compiled = {
      ...parts.apply.compiled,
      inputs: [...inputs.values()].filter(({ name }) => !name.startsWith("state/sum/") && name !== "scalar/share"),
      nodes: programs.reduce((sum, p) => sum + p.compiled.nodes, 0),
    };
  }

  async run(inputs: Feeds, into: Tensors = {}): Promise<Tensors> {
    const rows = new Map<string, Tensor[]>();
    for (const { feeds, piece, begins } of this.gatherings(inputs)) {
      const own: Record<string, Tensor> = {};
      const target: Record<string, Tensor> = {};
      for (const { name } of piece.sums) {
        const now = tensorOf(this.sums, name);
        if (begins) now.data.fill(0 as never); // float32, as all means
        own[`state/${name}`] = now;
        target[`next/${name}`] = tensorOf(this.spare, name);
      }
      for (const { name } of this.others(piece)) own[`state/${name}`] = tensorOf(this.sums, name);
      const outputs = await piece.program.run(fed(piece.program, { ...inputs, ...feeds, ...own }), target);
      for (const { name } of piece.sums) {
        const now = tensorOf(this.sums, name);
        this.sums.set(name, tensorOf(this.spare, name));
        this.spare.set(name, now);
      }
      addRows(rows, piece, outputs);
    }
    const means = Object.fromEntries([...this.sums].map(([name, t]) => [`state/${name}`, t]));
    const outputs = await this.parts.apply.run(fed(this.parts.apply, { ...inputs, ...means }), into);
    return { ...outputs, ...joined(rows) };
  }

  async place(inputs: Feeds): Promise<Placed> {
    const rows = new Map<string, Tensor[]>();
    const means = new Map<string, DeviceTensor>();
    try {
      for (const { feeds, piece, begins } of this.gatherings(inputs)) {
        const own: Record<string, Tensor | DeviceTensor> = {};
        for (const [name, t] of means) own[`state/${name}`] = t;
        if (begins) for (const { name } of piece.sums) own[`state/${name}`] = tensorOf(this.sums, name); // zeros: nothing writes them here
        const { host, device } = await placed(piece.program, { ...inputs, ...feeds, ...own });
        for (const { name } of piece.sums) {
          means.get(name)?.dispose();
          means.set(name, device[`next/${name}`]!); // asked for when it was loaded
        }
        addRows(rows, piece, host);
      }
      const given = Object.fromEntries([...means].map(([name, t]) => [`state/${name}`, t]));
      const { host, device } = await placed(this.parts.apply, { ...inputs, ...given });
      return { host: { ...host, ...joined(rows) }, device };
    } finally {
      for (const t of means.values()) t.dispose();
    }
  }

  /** The micro-batches of a step in order. */
  private *gatherings(inputs: Feeds): Generator<{ feeds: Record<string, Tensor>; piece: Piece; begins: boolean }> {
    for (const batch of this.parts.batches) {
      const [x, y] = [hostTensor(inputs, `${batch}/x`), hostTensor(inputs, `${batch}/y`)];
      const n = x.shape[0] ?? 0;
      let at = 0;
      for (const size of this.parts.sizes[batch]) {
        const piece = this.parts.pieces.get(`${batch} ${size}`);
        if (!piece) throw new InternalError(`no program for ${size} images of the ${batch} batch`);
        const share: Tensor = { dtype: "float32", shape: [], data: Float32Array.of(size / n) };
        const feeds = {
          [`${batch}/x`]: rowsOf(x, at, size),
          [`${batch}/y`]: rowsOf(y, at, size),
          "scalar/share": share,
        };
        yield { feeds, piece, begins: at === 0 };
        at += size;
      }
    }
  }

  /** Means of the other batch, which the piece may read. */
  private others({ batch }: Piece): readonly { readonly name: string }[] {
    return [...this.parts.pieces.values()].flatMap((p) => (p.batch === batch ? [] : p.sums));
  }

  async close(): Promise<void> {
    for (const { program } of this.parts.pieces.values()) await program.close();
    await this.parts.apply.close();
  }
}

/** What a program asks for, of all there is. */
function fed({ compiled }: Program, all: Feeds): Feeds {
  const feeds: Record<string, Tensor | DeviceTensor> = {};
  for (const { name } of compiled.inputs) {
    const t = all[name];
    if (t) feeds[name] = t;
  }
  return feeds;
}

function placed(program: Program, all: Feeds): Promise<Placed> {
  if (!program.place) throw new InternalError("an executor that reads from its device runs no program there");
  return program.place(fed(program, all));
}

function tensorOf(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const t = tensors.get(name);
  if (!t) throw new InternalError(`there is no "${name}"`);
  return t;
}

function hostTensor(inputs: Feeds, name: string): Tensor {
  const t = inputs[name];
  if (!t || "handle" in t) throw new InternalError(`"${name}" is not at hand`);
  return t;
}

/** Rows of the first axis, as a view. */
function rowsOf(t: Tensor, at: number, n: number): Tensor {
  const shape = [n, ...t.shape.slice(1)];
  const row = sizeOf(t.shape.slice(1));
  return { ...t, shape, data: t.data.subarray(at * row, (at + n) * row) } as Tensor; // a view of the same dtype
}

function addRows(rows: Map<string, Tensor[]>, piece: Piece, outputs: Tensors): void {
  for (const name of piece.rows) {
    const t = outputs[`report/${name}`];
    if (t) rows.set(`report/${name}`, [...(rows.get(`report/${name}`) ?? []), t]);
  }
}

/** The rows of all micro-batches one after another; float32. */
function joined(rows: ReadonlyMap<string, readonly Tensor[]>): Record<string, Tensor> {
  return Object.fromEntries(
    [...rows].map(([name, parts]) => {
      const count = parts.reduce((n, t) => n + (t.shape[0] ?? 0), 0);
      const shape = [count, ...(parts[0]?.shape.slice(1) ?? [])];
      const data = new Float32Array(sizeOf(shape));
      let at = 0;
      for (const t of parts) {
        if (t.dtype !== "float32") throw new InternalError(`${name} is not float32`);
        data.set(t.data, at);
        at += t.data.length;
      }
      return [name, { dtype: "float32", shape, data } as const];
    }),
  );
}
