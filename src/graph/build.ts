/** @file Makes values and nodes: inputs, constants, and the nodes that ops ask for. */
import { GraphError } from "../common/errors.js";
import { type DType, formatShape, type Shape, type Tensor } from "../common/tensor.js";
import type { Attributes, Graph, Node, Operator, Value } from "./value.js";

/** A value that the caller feeds; `attrs.name` is its name. */
export const inputOp: Operator = { name: "Input", inputs: [], outputs: ["value"] };
/** A value that is known when the graph is built; `attrs.value` is the tensor. */
export const constantOp: Operator = { name: "Constant", inputs: [], outputs: ["value"] };

/** One node with outputs of the given dtypes and shapes. Ops call this after their shape rule; nobody else does. */
export function makeNode(
  op: Operator,
  inputs: readonly (Value | null)[],
  attrs: Attributes,
  outputs: readonly { dtype: DType; shape: Shape }[],
  name = "",
): Node {
  const values: Value[] = [];
  const node: Node = { op, inputs, attrs, outputs: values, name };
  outputs.forEach(({ dtype, shape }, index) => {
    for (const d of shape) {
      if (!Number.isInteger(d) || d < 0) {
        throw new GraphError(`${op.name} "${name}"`, {
          problem: "a dimension is not a whole number ≥ 0",
          got: formatShape(shape),
        });
      }
    }
    values.push({ node, index, dtype, shape });
  });
  return node;
}

export function input(name: string, dtype: DType, shape: Shape): Value {
  return makeNode(inputOp, [], { name }, [{ dtype, shape }], name).outputs[0]!; // one output was asked for
}

export function constant(value: Tensor, name = ""): Value {
  return makeNode(constantOp, [], { value }, [{ dtype: value.dtype, shape: value.shape }], name).outputs[0]!; // one output
}

/** A float32 constant of shape []. */
export const scalar = (x: number): Value => constant({ dtype: "float32", shape: [], data: Float32Array.of(x) });

/** The tensor of a constant, or null for any other value. */
export function constantTensor(v: Value): Tensor | null {
  // attrs.value of a Constant is a Tensor: `constant` above is the only maker.
  return v.node.op === constantOp ? (v.node.attrs["value"] as Tensor) : null;
}

/** A graph from its named outputs; inputs that no output needs may be listed too. */
export function makeGraph(
  name: string,
  inputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
  outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
): Graph {
  const toMap = (r: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>) =>
    r instanceof Map ? r : new Map(Object.entries(r));
  return { name, inputs: toMap(inputs), outputs: toMap(outputs) };
}

/** All nodes that the values need, each after those it reads; the order depends on the graph alone. */
export function nodesOf(values: Iterable<Value>): Node[] {
  const order: Node[] = [];
  const state = new Set<Node>();
  // An explicit stack: networks of thousands of layers would overflow the call stack.
  const stack: { node: Node; next: number }[] = [];
  const push = (node: Node) => {
    if (state.has(node)) return;
    state.add(node);
    stack.push({ node, next: 0 });
  };
  for (const value of values) {
    push(value.node);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!; // the stack is not empty
      const before = top.node.inputs[top.next];
      if (top.next < top.node.inputs.length) {
        top.next++;
        if (before) push(before.node);
      } else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
