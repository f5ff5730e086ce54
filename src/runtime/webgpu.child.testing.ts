/** @file Three MetaLR steps of a tiny network, or convolutions, on WebGPU and on the processor, as JSON; a process of its own, since a driver may end it. */
import { gradients } from "../autodiff/backward.js";
import { Random } from "../common/random.js";
import { type Shape, sizeOf, type Tensor } from "../common/tensor.js";
import { input, makeGraph } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { metalr, sgd } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, linearLayer, pure, sequence } from "../models/layers.js";
import { conv, dot, maxPool, reduceMean, relu } from "../ops/index.js";
import { openExecutor } from "../platform/node/executor.js";
import { portableFor } from "./lowering.js";
import { type LabelledBatch, Stepper } from "./stepper.js";
import type { DeviceName } from "./types.js";

const model = fromGroups(
  { architecture: "tiny", classes: 3, channels: 1 },
  [
    ["stem", sequence(convLayer("c1", 1, 4, 3, { padding: 1 }), batchNormLayer("b1", 4), pure(relu))],
    [
      "body",
      sequence(
        pure((x) => maxPool(x, [2, 2], { stride: [2, 2] })),
        convLayer("c2", 4, 6, 3, { padding: 1 }),
        batchNormLayer("b2", 6),
        pure(relu),
      ),
    ],
    [
      "head",
      sequence(
        pure((x) => reduceMean(x, [2, 3])),
        linearLayer("fc", 6, 3),
      ),
    ],
  ],
  2,
);

function batch(seed: number): LabelledBatch {
  const random = new Random(seed, "webgpu");
  const x = Float32Array.from({ length: 4 * 64 }, () => random.normal());
  return {
    x: { dtype: "float32", shape: [4, 1, 8, 8], data: x },
    y: { dtype: "int64", shape: [4], data: BigInt64Array.of(0n, 1n, 2n, 0n) },
  };
}

async function trained(device: DeviceName, microBatch?: number) {
  const executor = await openExecutor({ device, threads: 1 });
  // Adam divides by small gradients, which would enlarge differences of rounding.
  const method = metalr({ lr: 0.1, bounds: null, headWarmup: { steps: 0 }, optimizer: sgd({ momentum: 0.9 }) });
  const stepper = new Stepper(executor, model, method, { microBatch });
  const rows: Record<string, readonly number[]> = {};
  const keep = (name: string, t: Tensor) => {
    rows[name] = Array.from(t.data as ArrayLike<number>, Number); // all of it is float32
  };
  for (let step = 1; step <= 3; step++) {
    const report = await stepper.step(batch(step), batch(step + 10), { step, epoch: 1, epochs: 1, stepsPerEpoch: 3 });
    for (const [name, t] of Object.entries(report)) keep(`step ${step} ${name}`, t);
  }
  await stepper.sync();
  for (const [name, t] of stepper.state) keep(name, t);
  const { description } = executor;
  await stepper.close();
  return { description, rows };
}

/** Shapes of images and weights that ONNX Runtime 1.30's own WebGPU kernels compute wrongly, or refuse. */
const shapes: readonly { x: Shape; w: Shape; group?: number; stride?: number }[] = [
  { x: [6, 4, 5, 5], w: [4, 4, 3, 3] }, // 6 images: the channels of the weight gradient
  { x: [2, 9, 5, 5], w: [8, 9, 3, 3] },
  { x: [2, 6, 6], w: [4, 6, 3] },
  { x: [2, 8, 5, 5], w: [20, 2, 3, 3], group: 4 },
  { x: [2, 4, 6, 6], w: [8, 1, 3, 3], group: 4, stride: 2 },
  { x: [2, 2, 4, 4, 4], w: [3, 2, 2, 2, 2], stride: 2 },
];

async function convolved(device: DeviceName) {
  const executor = await openExecutor({ device, threads: 1 });
  const rows: Record<string, readonly number[]> = {};
  for (const { x: xs, w: ws, group = 1, stride = 1 } of shapes) {
    const [x, w] = [input("x", "float32", xs), input("w", "float32", ws)];
    const y = conv(x, w, null, { group, stride, padding: stride === 1 ? 1 : 0 });
    const dy = input("dy", "float32", y.shape);
    const [dx, dw] = gradients(dot(y, dy), [x, w]) as [Value, Value]; // as many as asked for
    const random = new Random(5, "webgpu");
    const normal = (shape: Shape): Tensor => ({
      dtype: "float32",
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    });
    const program = await executor.load(
      portableFor(executor).compile(makeGraph("convolution", { x, w, dy }, { y, dx, dw })),
    );
    const results = await program.run({ x: normal(xs), w: normal(ws), dy: normal(y.shape) });
    for (const [name, t] of Object.entries(results)) {
      rows[`${name} of [${xs}] and [${ws}]`] = Array.from(t.data as ArrayLike<number>, Number); // all of it is float32
    }
    await program.close();
  }
  return { description: executor.description, rows };
}

const [what] = process.argv.slice(2);
const on = (device: DeviceName) =>
  what === "convolutions" ? convolved(device) : trained(device, what === "micro" ? 2 : undefined);
const result = { cpu: await on("cpu"), webgpu: await on("webgpu") };
process.stdout.write(JSON.stringify(result), () => process.exit(0)); // the driver's threads would keep the process
