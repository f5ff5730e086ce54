/** Every method gives the same training whichever way its step is lowered. */
import { describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import type { Tensor } from "../common/tensor.js";
import { methodByName, methodNames, parseMethod, sgd } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, linearLayer, pure, sequence } from "../models/layers.js";
import { reduceMean, relu } from "../ops/index.js";
import { findNative } from "../platform/node/onednn.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { chooseCompiler, portableCompiler } from "./lowering.js";
import { nativeExecutor } from "./onednn.js";
import { type LabelledBatch, Stepper } from "./stepper.js";
import type { Executor, Precision } from "./types.js";

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

async function trained(text: string, on: Executor, portable = false): Promise<Map<string, Tensor>> {
  const { name, ...spec } = parseMethod(text);
  // Adam divides by small gradients, which would enlarge differences of rounding.
  const method = methodByName(name, {
    lr: 0.1,
    ...(name !== "ldog" && { optimizer: sgd({ momentum: 0.9 }) }),
    ...spec,
  });
  const stepper = new Stepper(on, model, method, portable ? { compile: portableCompiler.compile } : {});
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

const found = findNative();
const native = (threads: number, precision: Precision = "float32") =>
  nativeExecutor("module" in found ? found.module : ({} as never), { threads, precision, other: executor }); // skipped without a module

describe.each([
  ["blocked", blocked, "skipped without nchwc operators", () => executor],
  ["onednn", "module" in found, `skipped: ${"missing" in found ? found.missing : ""}`, () => native(2)],
] as const)("the %s lowering agrees with the portable one", (_, here, why, open) => {
  test
    .skipIf(!here)
    .each([
      ...methodNames,
      "finetune:schedule=cosine:ema=0.5",
      "metalr:direction=optimizer:normalize=cosine:hyperOptimizer=adam",
      "metalr:metaEvery=2:ema=0.5",
    ])(`%s${here ? "" : ` (${why})`}`, async (text) => {
    const [a, b] = [await trained(text, open()), await trained(text, executor, true)];
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

describe.skipIf("missing" in found)(
  `native training${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
  () => {
    test("gives the same bits again", async () => {
      expect(await trained("metalr", native(2))).toEqual(await trained("metalr", native(2)));
    });

    test.skipIf(!("module" in found && found.module.bfloat16))(
      "in bfloat16 stays within its seven bits (skipped where the processor has none)",
      async () => {
        const [half, full] = [await trained("metalr", native(1, "bfloat16")), await trained("metalr", native(1))];
        const rates = (state: Map<string, Tensor>) => Array.from(state.get("lr")?.data as ArrayLike<number>);
        expect(rates(half)).not.toEqual(rates(full)); // it did run in bfloat16
        for (const [i, r] of rates(full).entries()) expect(Math.abs(rates(half)[i]! / r - 1)).toBeLessThan(0.02); // as many rates
      },
    );
  },
);
