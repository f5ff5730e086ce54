/** @file Collects ONNX nodes and constants while a graph is lowered, and makes the model of them. */
import { InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { encodeOnnx } from "../onnx/encode.js";
import type { OnnxNode } from "../onnx/model.js";
import type { LoweredAttributes, Lowering } from "../ops/lowering.js";
import type { Compiled, LoweringName, Port } from "./types.js";

/** ONNX operator set of everything that is lowered, and the file format's version that goes with it. */
const OPSET = 18;
const IR_VERSION = 8;

/** Elements up to which constants are compared, so that equal ones are kept once: transforms of small images have up to 1,764. */
const COMPARED = 2048;

export class Emitter implements Lowering {
  readonly nodes: OnnxNode[] = [];
  private readonly initializers = new Map<string, Tensor>();
  private readonly constants = new Map<string, string>();
  private readonly domains = new Set<string>([""]);
  private readonly twins = new Map<string, readonly string[]>();
  private readonly processor = new Set<string>();
  private count = 0;

  /**
   * @param options.share emit equal nodes once; for lowerings that ask for the same thing twice. Default false
   * @param options.webgpu see `Lowering.webgpu`. Default false
   */
  constructor(private readonly options: { readonly share?: boolean; readonly webgpu?: boolean } = {}) {}

  get webgpu(): boolean {
    return this.options.webgpu === true;
  }

  /** Set by the compiler before each op's `lower`. */
  current: { label: string; used: (index: number) => boolean } = { label: "", used: () => true };

  emit(opType: string, inputs: readonly string[], attributes: LoweredAttributes = {}, domain = ""): string {
    return this.emitMany(opType, inputs, 1, attributes, domain)[0]!; // one output was asked for
  }

  emitMany(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes: LoweredAttributes = {},
    domain = "",
  ): readonly string[] {
    const last = inputs.findLastIndex((n) => n !== "");
    const key = this.options.share
      ? JSON.stringify([domain, opType, outputs, inputs, attributes], (_, v: unknown) =>
          typeof v === "bigint" ? `${v}n` : v,
        )
      : "";
    const twin = this.twins.get(key);
    if (twin) return twin;
    const names = Array.from({ length: outputs }, () => `v${this.count++}`);
    this.domains.add(domain);
    const name = `${this.current.label || opType}#${this.nodes.length}`;
    this.nodes.push({ name, opType, domain, inputs: inputs.slice(0, last + 1), outputs: names, attributes });
    if (key !== "") this.twins.set(key, names);
    return names;
  }

  onProcessor(output: string): string {
    const node = this.nodes.findLast((n) => n.outputs.includes(output));
    if (node) this.processor.add(node.name);
    return output;
  }

  /** @param wanted a name that it gets where it is free and cannot be taken for one of ours; equal constants are then kept apart */
  constant(value: Tensor, wanted = ""): string {
    const free = wanted !== "" && !this.initializers.has(wanted) && !/^[cv]\d+$/.test(wanted);
    const key =
      value.data.length <= COMPARED
        ? `${value.dtype}[${value.shape}]${Array.from(value.data as ArrayLike<number | bigint>, (x) => (Object.is(x, -0) ? "-0" : x))}`
        : null; // every DataOf is such a list
    const known = key === null || free ? undefined : this.constants.get(key);
    if (known) return known;
    const name = free ? wanted : `c${this.initializers.size}`;
    this.initializers.set(name, value);
    if (key !== null) this.constants.set(key, name);
    return name;
  }

  /** A large constant that several nodes read, made once: `key` says what it is. */
  once(key: string, make: () => Tensor): string {
    const known = this.constants.get(key);
    if (known) return known;
    const name = this.constant(make());
    this.constants.set(key, name);
    return name;
  }

  scalar(x: number): string {
    return this.constant({ dtype: "float32", shape: [], data: Float32Array.of(x) });
  }

  vector(ns: readonly number[]): string {
    return this.constant({ dtype: "int64", shape: [ns.length], data: BigInt64Array.from(ns, BigInt) });
  }

  used(index: number): boolean {
    return this.current.used(index);
  }

  /** The finished model; `outputs` maps the names that callers know to the names of values. */
  finish(
    name: string,
    lowering: LoweringName,
    inputs: readonly Port[],
    outputs: readonly (Port & { readonly from: string })[],
  ): Compiled {
    // A graph output that is an input or a constant, or is named twice, needs a node of its own.
    for (const { name: output, from } of outputs) {
      if (from === "") throw new InternalError(`output "${output}" of "${name}" was not lowered`);
      this.nodes.push({
        name: `output ${output}`,
        opType: "Identity",
        domain: "",
        inputs: [from],
        outputs: [output],
        attributes: {},
      });
    }
    const nodes = live(
      forward(this.nodes),
      outputs.map((o) => o.name),
    );
    const opsets = new Map([...this.domains].map((d) => [d, d === "" ? OPSET : 1]));
    const bytes = encodeOnnx({
      irVersion: IR_VERSION,
      producer: "metalr",
      opsets,
      metadata: new Map(),
      graph: { name, nodes, inputs, outputs, initializers: this.initializers },
    });
    const plain = outputs.map(({ from: _, ...port }) => port);
    // ONNX Runtime 1.30's WebGPU takes a MaxPool that gives indices, and fails when it runs.
    const processorNodes = nodes
      .filter((n) => (n.opType === "MaxPool" && n.outputs.length > 1) || this.processor.has(n.name))
      .map((n) => n.name);
    return {
      name,
      bytes,
      inputs,
      outputs: plain,
      lowering,
      nodes: nodes.length,
      ...(processorNodes.length > 0 && { processorNodes }),
    };
  }
}

/** Writes each value straight under its output name where one Identity alone reads it: no copy at the end of the step. */
function forward(nodes: readonly OnnxNode[]): OnnxNode[] {
  const maker = new Map<string, number>();
  nodes.forEach((n, i) => {
    for (const o of n.outputs) maker.set(o, i);
  });
  const renamed = new Map<string, string>();
  const dropped = new Set<OnnxNode>();
  for (const n of nodes) {
    const from = n.inputs[0] ?? "";
    if (n.opType !== "Identity" || !n.name.startsWith("output ") || renamed.has(from) || !maker.has(from)) continue;
    renamed.set(from, n.outputs[0]!); // an Identity has one output
    dropped.add(n);
  }
  const swap = (names: readonly string[]) => names.map((s) => renamed.get(s) ?? s);
  return nodes.filter((n) => !dropped.has(n)).map((n) => ({ ...n, inputs: swap(n.inputs), outputs: swap(n.outputs) }));
}

/** Without the nodes that no output needs: a lowering may emit a value that its readers then do without. */
function live(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const needed = new Set(outputs);
  const kept: OnnxNode[] = [];
  for (const n of [...nodes].reverse()) {
    if (!n.outputs.some((o) => needed.has(o))) continue;
    for (const i of n.inputs) needed.add(i);
    kept.push(n);
  }
  return kept.reverse();
}
