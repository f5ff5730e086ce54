/**
 * @file `npm run bench:native`: where a step of the native executor goes, operator by operator, and what the same primitives reach
 * alone (the instruction repeated on its own operands, warm): the bare oneDNN primitive for convolutions, the loop for the rest.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/common/random.js";
import { arrayTypes, sizeOf } from "../src/common/tensor.js";
import { printProgram } from "../src/compile/onednn/print.js";
import { bytesOf, type Instruction } from "../src/compile/onednn/program.js";
import { compileNative } from "../src/compile/onednn.js";
import { metalr } from "../src/methods/index.js";
import { createModel } from "../src/models/index.js";
import { findNative } from "../src/platform/node/onednn.js";
import { precisions } from "../src/runtime/types.js";
import { median } from "./measure.js";
import { table } from "./report.js";
import { shapeOf, workload } from "./workloads.js";

const kinds = ["forward convolution", "input-gradient convolution", "weight-gradient convolution"];
const kindOf = ({ kind, words }: Instruction): string => {
  const first = words[0];
  if ((kind !== "Convolution" && kind !== "Winograd") || !first || !("int" in first)) return kind;
  return `${kinds[first.int] ?? kind}${kind === "Winograd" ? ", Winograd" : ""}`;
};
const bytes = (i: Instruction) => [...i.reads, ...i.writes].reduce((n, b) => n + b.size * bytesOf(b.dtype), 0);

async function measure(name: string, precision: (typeof precisions)[number], rounds: number) {
  const found = findNative();
  if ("missing" in found) throw new Error(`no native module: ${found.missing}`);
  const { module } = found;
  const w = workload(name);
  if (w.model === "unet3d") throw new Error("this profile is of classifiers");
  const shape = shapeOf(w);
  const step = metalr().step(createModel(w.model, { classes: w.classes }), { train: shape, validation: shape });
  const { native, inputs, outputs } = compileNative(step.graph, {
    block: module.block,
    winograd: module.winograd,
    precision,
  });
  const handle = await module.load(native.words, native.constants, native.arenaBytes, native.block, 2);
  const random = new Random(0, "bench");
  const initial = new Map(step.state.map((s) => [`state/${s.name}`, s]));
  const ins = inputs.map(({ name: port, dtype, shape: s }) => {
    const start = initial.get(port);
    if (start) return start.initial().data;
    const data = new arrayTypes[dtype](sizeOf(s));
    if (data instanceof Float32Array)
      for (let i = 0; i < data.length; i++) data[i] = s.length === 0 ? 1e-3 : random.normal();
    return data;
  });
  const outs = outputs.map(({ dtype, shape: s }) => new arrayTypes[dtype](sizeOf(s)));
  const n = native.instructions.length;
  for (let i = 0; i < 2; i++) await handle.run(ins, outs, 0, n, false);
  let before = handle.times();
  const lap = () => {
    const now = handle.times();
    const spent = now.map((t, i) => t - (before[i] ?? 0));
    before = now;
    return spent;
  };
  const steps: (readonly number[])[] = [];
  for (let i = 0; i < rounds; i++) {
    await handle.run(ins, outs, 0, n, true);
    steps.push(lap());
  }
  const inStep = native.instructions.map((_, k) => median(steps.map((s) => s[k] ?? 0)));
  const alone: number[] = [];
  for (let k = 0; k < n; k++) {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      await handle.run(ins, outs, k, k + 1, true);
      times.push(lap()[k] ?? 0);
    }
    alone.push(median(times));
  }
  handle.close();
  return { native, inStep, alone };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      workload: { type: "string", default: "resnet18-64-b128" },
      rounds: { type: "string", default: "7" },
      out: { type: "string", default: "runs/bench/native" },
    },
  });
  await mkdir(values.out, { recursive: true });
  const parts: string[] = [];
  const found = findNative();
  for (const precision of precisions) {
    if (precision === "bfloat16" && "module" in found && !found.module.bfloat16) continue;
    const { native, inStep, alone } = await measure(values.workload, precision, Number(values.rounds));
    const groups = new Map<string, { count: number; step: number; alone: number; flops: number; bytes: number }>();
    native.instructions.forEach((i, k) => {
      const g = groups.get(kindOf(i)) ?? { count: 0, step: 0, alone: 0, flops: 0, bytes: 0 };
      g.count++;
      g.step += inStep[k] ?? 0;
      g.alone += alone[k] ?? 0;
      g.flops += i.flops;
      g.bytes += bytes(i);
      groups.set(kindOf(i), g);
    });
    const rate = (g: { flops: number; bytes: number }, ms: number) =>
      g.flops > 1e9 ? `${(g.flops / ms / 1e6).toFixed(0)} GFLOP/s` : `${(g.bytes / ms / 1e6).toFixed(1)} GB/s`;
    const rows = [...groups]
      .sort((a, b) => b[1].step - a[1].step)
      .filter(([, g]) => g.step > 0.5)
      .map(([name, g]) => [name, String(g.count), g.step.toFixed(1), rate(g, g.step), rate(g, g.alone)]);
    const total = inStep.reduce((a, b) => a + b, 0);
    parts.push(
      `${values.workload}, ${precision}: ${total.toFixed(0)} ms in ${native.instructions.length} instructions, ${(native.arenaBytes / 1e6).toFixed(0)} MB of working memory.\n\n` +
        table(["operator", "count", "ms in a step", "in the step", "alone, warm"], rows),
    );
    await writeFile(join(values.out, `program-${precision}.txt`), `${printProgram(native, inStep)}\n`);
  }
  const text = parts.join("\n\n");
  await writeFile(join(values.out, "native-ops.md"), `${text}\n`);
  console.log(`${text}\n\nEvery instruction with its time: ${values.out}/program-*.txt`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
