/** @file Reverse mode over a graph: gradients as new values, and gradients contracted with a direction. */
import { GraphError, InternalError, ShapeError } from "../common/errors.js";
import { formatShape, sameShape } from "../common/tensor.js";
import { nodesOf, scalar } from "../graph/build.js";
import type { Node, Value } from "../graph/value.js";
import { add, dot, expand, opOf, sumTo } from "../ops/index.js";

const describe = (node: Node) => `${node.op.name}${node.name ? ` "${node.name}"` : ""}`;

/** One use of a value by a node that the loss depends on, with the cotangent of that node's output. */
interface Use {
  readonly node: Node;
  readonly input: number;
  readonly dy: Value;
}

/** Cotangent of a scalar loss by everything between it and `wrt`, and every use of each `wrt`. */
function backward(loss: Value, wrt: readonly Value[]): Map<Value, Use[]> {
  if (loss.shape.length !== 0) {
    throw new GraphError("gradients", {
      problem: "the loss is not a scalar",
      expected: "[]",
      got: formatShape(loss.shape),
    });
  }
  const wanted = new Set(wrt);
  const uses = new Map<Value, Use[]>(wrt.map((v) => [v, []]));
  const order = nodesOf([loss]);
  const active = new Set<Value>(wrt);
  for (const node of order) {
    if (node.inputs.some((v) => v !== null && active.has(v))) for (const v of node.outputs) active.add(v);
  }
  const cotangents = new Map<Value, Value>([[loss, scalar(1)]]);
  for (const node of order.reverse()) {
    const [first, ...others] = node.outputs;
    if (first === undefined || !node.inputs.some((v) => v !== null && active.has(v))) continue;
    const blocked = others.find((v) => cotangents.has(v));
    if (blocked) {
      throw new GraphError(describe(node), {
        problem: `no gradient flows through its output "${node.op.outputs[blocked.index] ?? blocked.index}"`,
      });
    }
    const dy = cotangents.get(first);
    if (dy === undefined) continue;
    node.inputs.forEach((v, i) => {
      if (v === null || !active.has(v)) return;
      // Truth values and whole numbers carry no gradient: a mask may well depend on a parameter.
      if (!v.dtype.startsWith("float") && opOf(node).gradient(node, i, dy) === null) return;
      // A leaf keeps its uses: `directional` may contract them without forming the gradient.
      if (wanted.has(v)) uses.get(v)?.push({ node, input: i, dy });
      if (wanted.has(v) && v.node.inputs.every((u) => u === null || !active.has(u))) return;
      const g = gradientOf({ node, input: i, dy });
      const before = cotangents.get(v);
      cotangents.set(v, before ? add(before, g) : g);
    });
  }
  return uses;
}

/** The gradient that one use contributes, in the shape of the value used. */
function gradientOf({ node, input, dy }: Use): Value {
  const v = node.inputs[input];
  if (!v) throw new InternalError(`${describe(node)} has no input ${input}`);
  const g = opOf(node).gradient(node, input, dy);
  if (g === null) {
    throw new GraphError(describe(node), {
      problem: `has no gradient by its input "${node.op.inputs[input] ?? input}", which a parameter reaches`,
      hint: "freeze the layers before it, or replace the op",
    });
  }
  try {
    const summed = sumTo(g, v.shape);
    return sameShape(summed.shape, v.shape) ? summed : expand(summed, v.shape);
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    throw new InternalError(
      `gradient of ${describe(node)} by input ${input} has shape ${formatShape(g.shape)}, expected ${formatShape(v.shape)}`,
      { cause },
    );
  }
}

const zerosLike = (v: Value): Value => expand(scalar(0), v.shape);

/**
 * ∂loss/∂v for every v of `wrt`, each in the shape of its value; zeros where the loss does not depend on it.
 *
 * @param loss scalar of shape []
 * @param wrt leaves, or values that themselves depend on leaves (then the gradient flows on through them, too)
 * @throws {GraphError} naming the op without a gradient
 */
export function gradients(loss: Value, wrt: readonly Value[]): Value[] {
  const uses = backward(loss, wrt);
  return wrt.map((v) => {
    const parts = (uses.get(v) ?? []).map(gradientOf);
    return parts.length === 0 ? zerosLike(v) : parts.reduce(add);
  });
}

/**
 * Σ ⟨∂loss/∂v, direction⟩ for every pair, as scalars, without forming the gradient where an op is linear in v:
 * then ⟨∂L/∂w, G⟩ = ⟨dy, f(x, G)⟩, and a forward convolution replaces the costlier weight gradient.
 *
 * @param loss scalar of shape []
 * @param wrt values by which the loss is differentiated
 * @param directions one for each of `wrt`, of its shape
 */
export function directional(loss: Value, wrt: readonly Value[], directions: readonly Value[]): Value[] {
  const uses = backward(loss, wrt);
  return wrt.map((v, i) => {
    const direction = directions[i];
    if (!direction || !sameShape(direction.shape, v.shape)) {
      throw new GraphError("directional", {
        problem: `direction ${i} does not have the shape of its value`,
        expected: formatShape(v.shape),
        got: direction ? formatShape(direction.shape) : "nothing",
      });
    }
    const parts = (uses.get(v) ?? []).map((use) => {
      const pushed = opOf(use.node).push(use.node, use.input, use.dy, direction);
      return pushed && sameShape(pushed.shape, use.dy.shape) ? dot(use.dy, pushed) : dot(gradientOf(use), direction);
    });
    return parts.length === 0 ? scalar(0) : parts.reduce(add);
  });
}
