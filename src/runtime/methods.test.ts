/** Every method gives the same training whichever way its step is lowered. */
import { describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import type { Tensor } from "../common/tensor.js";
import { methodByName, methodNames, parseMethod, sgd } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, linearLayer, pure, sequence } from "../models/layers.js";
import { reduceMean, relu } from "../ops/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { chooseCompiler, portableCompiler } from "./lowering.js";
import { type LabelledBatch, Stepper } from "./stepper.js";

const executor = nodeExecutor({ threads: 1 });
const blocked = (await chooseCompiler(executor)).lowering === "blocked";

/** Convolutions of 16 and 32 channels: their weights are kept in blocks. */
const model = fromGroups(
  { architecture: "small", classes: 3, channels: 3 },
  [
    ["stem", sequence(convLayer("c1", 3, 16, 3, { padding: 1 }), batchNormLayer("b1", 16), pure(relu))],
    ["body", sequence(convLayer("c2", 16, 32, 3, { stride: 2, padding: 1 }), batchNormLayer("b2", 32), pure(relu))],
    [
      "head",
      sequence(
        pure((x) => reduceMean(x, [2, 3])),
        linearLayer("fc", 32, 3),
      ),
    ],
  ],
  2,
);

function batch(seed: number): LabelledBatch {
  const random = new Random(seed, "batch");
  const x = Float32Array.from({ length: 6 * 3 * 64 }, () => random.normal());
  const y = BigInt64Array.from({ length: 6 }, (_, i) => BigInt(i % 3));
  return { x: { dtype: "float32", shape: [6, 3, 8, 8], data: x }, y: { dtype: "int64", shape: [6], data: y } };
}

async function trained(text: string, portable: boolean): Promise<Map<string, Tensor>> {
  const { name, ...spec } = parseMethod(text);
  // Adam divides by small gradients, which would enlarge differences of rounding.
  const method = methodByName(name, {
    lr: 0.1,
    ...(name !== "ldog" && { optimizer: sgd({ momentum: 0.9 }) }),
    ...spec,
  });
  const stepper = new Stepper(executor, model, method, portable ? { compile: portableCompiler.compile } : {});
  const shape = [6, 3, 8, 8];
  await stepper.ready({ train: shape, ...(method.needsValidation && { validation: shape }) });
  for (let step = 1; step <= 4; step++) {
    const clock = { step, epoch: Math.ceil(step / 2), epochs: 2, stepsPerEpoch: 2 };
    await stepper.step(batch(step), method.needsValidation ? batch(step + 50) : null, clock);
  }
  const state = new Map([...stepper.state].map(([name, t]) => [name, structuredClone(t)]));
  await stepper.close();
  return state;
}

describe.skipIf(!blocked)("the blocked lowering agrees with the portable one (skipped without nchwc operators)", () => {
  test.each([
    ...methodNames,
    "finetune:schedule=cosine:ema=0.5",
    "metalr:direction=optimizer:normalize=cosine:hyperOptimizer=adam",
    "metalr:metaEvery=2:ema=0.5",
  ])("%s", async (text) => {
    const [a, b] = [await trained(text, false), await trained(text, true)];
    expect([...a.keys()]).toEqual([...b.keys()]);
    for (const [name, t] of a) {
      const numbers = (x: Tensor | undefined) => Array.from((x?.data ?? []) as ArrayLike<number>, Number); // all state is float32
      const [mine, other] = [numbers(t), numbers(b.get(name))];
      const scale = Math.max(1e-3, ...mine.map(Math.abs));
      const worst = Math.max(...mine.map((v, i) => Math.abs(v - (other[i] ?? Number.NaN))));
      expect(worst / scale, name).toBeLessThan(1e-3);
    }
  });
});
