/** @file A model in words: inputs, outputs, op set, size, and which ops it uses how often. */
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import type { ImportedOnnx, InitializerRole } from "./import.js";
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from "./model.js";

/** The facts behind `describeOnnx`, for programs. */
export interface OnnxSummary {
  readonly producer: string;
  /** "ai.onnx 17", one per declared domain. */
  readonly opsets: readonly string[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Numbers in floating-point initializers, which are the parameters, buffers and constants of the network. */
  readonly floats: number;
  readonly tensors: number;
  readonly nodes: number;
  /** How often each op occurs, most frequent first, then by name; domains other than ai.onnx are written before it. */
  readonly ops: ReadonlyMap<string, number>;
}

function count(g: OnnxGraph, ops: Map<string, number>): void {
  for (const n of g.nodes) {
    const name = n.domain === "" ? n.opType : `${n.domain}::${n.opType}`;
    ops.set(name, (ops.get(name) ?? 0) + 1);
    for (const a of Object.values(n.attributes)) if (a.type === "graph") count(a.value, ops);
  }
}

export function summarizeOnnx(model: OnnxModel): OnnxSummary {
  const ops = new Map<string, number>();
  count(model.graph, ops);
  const floats = [...model.graph.initializers.values()].filter((t) => t.dtype === "float32" || t.dtype === "float64");
  return {
    producer: model.producer,
    opsets: [...model.opsets].map(([domain, version]) => `${domain || "ai.onnx"} ${version}`),
    inputs: model.graph.inputs,
    outputs: model.graph.outputs,
    floats: floats.reduce((n, t) => n + sizeOf(t.shape), 0),
    tensors: model.graph.initializers.size,
    nodes: [...ops.values()].reduce((n, k) => n + k, 0),
    ops: new Map([...ops].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))),
  };
}

const describeValue = (v: OnnxValueInfo): string =>
  `${v.name} ${v.dtype} ${v.shape === null ? "of any shape" : formatShapeOf(v.shape)}`;

/** Dynamic dimensions by name, "?" where they have none: [N,3,?,?]. */
const formatShapeOf = (shape: readonly (number | string)[]): string =>
  shape.every((d) => typeof d === "number")
    ? formatShape(shape)
    : `[${shape.map((d) => (d === "" ? "?" : d)).join(",")}]`;

/** The model in a few lines, for `metalr inspect`. */
export function describeOnnx(model: OnnxModel): string {
  const s = summarizeOnnx(model);
  return [
    `ONNX model${s.producer === "" ? "" : ` by ${s.producer}`}, op set ${s.opsets.join(", ")}`,
    ...s.inputs.map((v) => `  input    ${describeValue(v)}`),
    ...s.outputs.map((v) => `  output   ${describeValue(v)}`),
    `  weights  ${s.floats} numbers in ${s.tensors} tensors`,
    `  ops      ${s.nodes} nodes: ${[...s.ops].map(([name, n]) => (n === 1 ? name : `${name} ×${n}`)).join(", ")}`,
  ].join("\n");
}

/** The first few names, and how many more there are. */
const some = (names: readonly string[]): string =>
  `${names.slice(0, 3).join(", ")}${names.length > 3 ? `, and ${names.length - 3} more` : ""}`;

/** One initializer that the logits need, what it is and why. */
export interface InitializerFacts {
  readonly name: string;
  readonly role: InitializerRole;
  readonly reason: string;
  readonly shape: Shape;
}

export function initializerFacts({ model, parameters, buffers, constants, reasons }: ImportedOnnx): InitializerFacts[] {
  const fact = (role: InitializerRole, name: string): InitializerFacts => ({
    name,
    role,
    reason: reasons.get(name) ?? "",
    shape: model.graph.initializers.get(name)?.shape ?? [],
  });
  return [
    ...parameters.map((p) => fact("parameter", p.name)),
    ...buffers.map((b) => fact("buffer", b.name)),
    ...constants.map((name) => fact("constant", name)),
  ];
}

const labels = { parameter: "parameters", buffer: "running statistics", constant: "constants" } as const;

/** What the rules made of the initializers: trained, moved along, left alone; and why, in the words of the rules. */
export function describeRoles(imported: ImportedOnnx): string {
  const facts = initializerFacts(imported);
  // Object.keys widens the three keys to strings.
  return (Object.keys(labels) as InitializerRole[])
    .flatMap((role) => {
      const own = facts.filter((f) => f.role === role);
      const numbers = own.reduce((n, f) => n + sizeOf(f.shape), 0);
      const reasons = [...new Set(own.map((f) => f.reason))].map((reason) => {
        const names = own.filter((f) => f.reason === reason).map((f) => f.name);
        return `    ${names.length} × ${reason}: ${some(names)}`;
      });
      return [`  ${labels[role].padEnd(20)}${own.length} tensors, ${numbers} numbers`, ...reasons];
    })
    .join("\n");
}
