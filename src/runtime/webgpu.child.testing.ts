/** @file Three MetaLR steps of a tiny network on WebGPU and on the processor, as JSON; a process of its own, since a driver may end it. */
import { Random } from "../common/random.js";
import type { Tensor } from "../common/tensor.js";
import { metalr, sgd } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, linearLayer, pure, sequence } from "../models/layers.js";
import { maxPool, reduceMean, relu } from "../ops/index.js";
import { openExecutor } from "../platform/node/executor.js";
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

const micro = process.argv[2] === "micro" ? 2 : undefined;
const result = { cpu: await trained("cpu", micro), webgpu: await trained("webgpu", micro) };
process.stdout.write(JSON.stringify(result), () => process.exit(0)); // the driver's threads would keep the process
