/** @file The layers under the library: a small graph, its gradient, the ONNX file that it becomes, and a run of it. */
import { nodeExecutor } from "metalr";
import { gradients } from "metalr/autodiff";
import { compilePortable } from "metalr/compile";
import { input, makeGraph, printGraph } from "metalr/graph";
import { matmul, mul, sub, sumAll } from "metalr/ops";

// Least squares: L = Σ (x·w − y)²
const x = input("x", "float32", [3, 2]);
const y = input("y", "float32", [3, 1]);
const w = input("w", "float32", [2, 1]);
const error = sub(matmul(x, w), y);
const loss = sumAll(mul(error, error));
const [gradient] = gradients(loss, [w]);
if (!gradient) throw new Error("one gradient for one value");

const graph = makeGraph("least squares", { x, y, w }, { loss, gradient });
console.log(printGraph(graph));

const compiled = compilePortable(graph);
const program = await nodeExecutor({ threads: 1 }).load(compiled);
const result = await program.run({
  x: { dtype: "float32", shape: [3, 2], data: Float32Array.of(1, 0, 0, 1, 1, 1) },
  y: { dtype: "float32", shape: [3, 1], data: Float32Array.of(1, 2, 3) },
  w: { dtype: "float32", shape: [2, 1], data: Float32Array.of(0, 0) },
});
console.log(`${compiled.nodes} ONNX nodes; loss ${result["loss"]?.data}, gradient ${result["gradient"]?.data}`);
await program.close();
