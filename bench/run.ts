/** @file `npm run bench`: our MetaLR step beside PyTorch's, measured in one run on one machine, turn by turn. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, totalmem, type } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MetalrError, UsageError } from "../src/common/errors.js";
import { deviceNames, executorNames } from "../src/runtime/types.js";
import { chart } from "./chart.js";
import {
  type ExperimentName,
  type ExperimentResult,
  experimentNames,
  experimentTable,
  runExperiment,
} from "./experiments.js";
import { interleave, type Turn, timing } from "./measure.js";
import { startPeer, torchVersion } from "./peer.js";
import { Contender, type Facts, type StepKind } from "./protocol.js";
import {
  type BenchFile,
  type ContenderName,
  contenders,
  growth,
  growthTable,
  labels,
  type Measured,
  type Part,
  partTable,
  type Result,
  spread,
  stepTable,
  toJson,
} from "./report.js";
import { sets, type Workload, workloads } from "./workloads.js";

const help = `Measures the MetaLR step, ours beside two written in PyTorch, two threads each.

usage: npm run bench -- [options]        (npm run --silent bench -- --json for machines)

  --workload NAME      one of ${[...sets.keys()].join(", ")}, or model-size-bBATCH such as resnet18-64-b128; may be repeated
                       (default: all; none where an experiment is asked for)
  --experiment NAME    two variants of ours in turn: ${experimentNames.join(", ")}; may be repeated
  --executor NAME      what runs our step: ${executorNames.join(", ")} (default: auto)
  --device NAME        what computes our step: ${deviceNames.join(", ")} (default: cpu)
  --precision TYPE     float32, or bfloat16 with --executor onednn (default: float32)
  --lowering NAME      auto, blocked or portable: how our step becomes ONNX (default: auto)
  --peer-python PATH   a Python with PyTorch 1.13 or 2.x (default: /usr/bin/python3; without torch the peers are
                       skipped, and so they are with "none")
  --rounds N           measured steps of everybody (default: 5)
  --parts              also the parts of the step, plain fine-tuning and inference (default: for resnet18-64-b128 only)
  --groups N           our step with N layer groups instead of the model's own
  --out DIR            where the chart, the tables and every sample go (default: runs/bench). \`npm run bench:docs -- DIR …\` puts
                       the tables of several such folders into docs/BENCHMARKS.md
  --json               JSON alone on stdout
`;

const say = (line: string) => console.error(line);

const ourKinds: readonly StepKind[] = ["trainingPass", "validationPass", "update", "finetune", "inference"];
const peerKinds: readonly StepKind[] = ["trainingPass", "finetune", "inference"];
const mainKind: Readonly<Record<ContenderName, StepKind>> = {
  ours: "metalr",
  released: "released",
  twoPass: "twoPass",
};

interface Options {
  readonly python: string | null;
  readonly executor: string;
  readonly device: string;
  readonly lowering: string;
  readonly precision: string;
  readonly groups: number | undefined;
  readonly rounds: number;
  readonly parts: boolean;
}

async function startOurs(workload: Workload, options: Options): Promise<[Contender, Facts]> {
  const program = fileURLToPath(new URL("./ours.ts", import.meta.url));
  const ours = new Contender("ours", process.execPath, ["--import", "tsx", program]);
  try {
    const { executor, device, lowering, precision, groups } = options;
    return [
      ours,
      await ours.load(workload, {
        kind: "metalr",
        executor,
        device,
        lowering,
        precision,
        ...(groups !== undefined && { groups }),
      }),
    ];
  } catch (error) {
    await ours.close();
    throw error;
  }
}

/** Everybody on one workload. Who fails is left out with a word, and the others go on. */
async function measure(workload: Workload, options: Options): Promise<Measured> {
  const running: { name: ContenderName; contender: Contender; facts: Facts }[] = [];
  for (const name of contenders) {
    if (name !== "ours" && options.python === null) continue;
    try {
      const [contender, facts] =
        name === "ours" || options.python === null
          ? await startOurs(workload, options)
          : await startPeer(options.python, name, workload);
      running.push({ name, contender, facts });
    } catch (error) {
      say(`  ${labels[name]} is left out: ${error instanceof Error ? error.message : error}`);
    }
  }
  try {
    const steps = await interleave(
      running.map(({ name, contender }): Turn => ({ contender, kind: mainKind[name] })),
      options.rounds,
      2,
    );
    const results = new Map<ContenderName, Result>();
    for (const [i, { name, contender, facts }] of running.entries()) {
      const step = steps[i] ?? timing([]); // as many as turns
      results.set(name, { ...step, peakMb: await contender.peak(), facts });
    }
    const parts: Part[] = [];
    if (options.parts) {
      const turns = running.flatMap(({ name, contender }) =>
        // The released step has no parts of its own worth a line; the plain ones are measured once, with the better layout.
        (name === "ours" ? ourKinds : name === "twoPass" ? peerKinds : []).map((kind) => ({ name, contender, kind })),
      );
      const timings = await interleave(turns, options.rounds, 1);
      for (const [i, { name, kind }] of turns.entries()) {
        parts.push({ contender: name, kind, timing: timings[i] ?? timing([]) }); // as many as turns
      }
    }
    const of = (name: ContenderName) => results.get(name) ?? null;
    return { workload, contenders: { ours: of("ours"), released: of("released"), twoPass: of("twoPass") }, parts };
  } finally {
    await Promise.all(running.map(({ contender }) => contender.close()));
  }
}

function wholeNumber(option: string, value: string): number {
  const n = Number(value);
  if (Number.isInteger(n) && n > 0) return n;
  throw new UsageError(option, {
    problem: "not a number of things",
    expected: "a whole number of at least 1",
    got: value,
  });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        workload: { type: "string", multiple: true },
        experiment: { type: "string", multiple: true, default: [] },
        executor: { type: "string", default: "auto" },
        device: { type: "string", default: "cpu" },
        lowering: { type: "string", default: "auto" },
        precision: { type: "string", default: "float32" },
        "peer-python": { type: "string", default: "/usr/bin/python3" },
        rounds: { type: "string", default: "5" },
        parts: { type: "boolean", default: false },
        groups: { type: "string" },
        out: { type: "string", default: "runs/bench" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false, short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError("bench", { problem: error instanceof Error ? error.message : String(error) });
  }
}

function experiments(names: readonly string[]): ExperimentName[] {
  return names.map((name) => {
    const found = experimentNames.find((n) => n === name);
    if (found !== undefined) return found;
    throw new UsageError("--experiment", {
      problem: "no such experiment",
      expected: experimentNames.join(", "),
      got: name,
    });
  });
}

async function main(args: readonly string[]): Promise<void> {
  const given = parse(args);
  if (given.help) return console.log(help);
  const asked = experiments(given.experiment);
  const chosen = workloads(given.workload ?? (asked.length > 0 ? [] : ["all"]));
  const rounds = wholeNumber("--rounds", given.rounds);
  const groups = given.groups === undefined ? undefined : wholeNumber("--groups", given.groups);

  const python = given["peer-python"];
  const torch = await torchVersion(python);
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${(totalmem() / 1e9).toFixed(0)} GB, ${type()}`;
  say(`${machine}; node ${process.version}; ${torch ? `PyTorch ${torch} (${python})` : "no PyTorch"}`);
  if (torch === null) {
    say(existsSync(python) ? `${python} has no torch: the peers are skipped` : `no ${python}: the peers are skipped`);
  }

  const measured: Measured[] = [];
  for (const workload of chosen) {
    say(`${workload.name} …`);
    const parts = given.parts || workload.name === "resnet18-64-b128";
    const one = await measure(workload, {
      python: torch && python,
      executor: given.executor,
      device: given.device,
      lowering: given.lowering,
      precision: given.precision,
      groups,
      rounds,
      parts,
    });
    measured.push(one);
    for (const name of contenders) {
      const result = one.contenders[name];
      if (result)
        say(`  ${labels[name]}: ${spread(result)} ms, ${result.peakMb.toFixed(0)} MB, ${JSON.stringify(result.facts)}`);
    }
  }

  const answers: ExperimentResult[] = [];
  for (const name of asked) {
    say(`${name} …`);
    const { executor, lowering, precision } = given;
    const answer = await runExperiment(name, { rounds, executor, lowering, precision });
    answers.push(answer);
    say(`  ${answer.words}`);
  }

  const grown = growth(measured);
  const caption = `${machine}; node ${process.version}${torch ? `; PyTorch ${torch}` : ""}; ${new Date().toISOString().slice(0, 10)}`;
  const tables = [
    ...(measured.length > 0 ? [stepTable(measured)] : []),
    ...measured.flatMap((m) => partTable(m) ?? []),
    ...(grown.length > 0 ? [growthTable(grown)] : []),
    ...answers.flatMap((answer) => [experimentTable(answer), answer.words]),
  ].join("\n\n");
  await mkdir(given.out, { recursive: true });
  const write = (name: string, content: string) => writeFile(join(given.out, name), content);
  await write("bench.md", `${caption}\n\n${tables}\n`);
  const file: BenchFile = { caption, date: new Date().toISOString(), rounds, measured, experiments: answers };
  await write("bench.json", `${JSON.stringify(file, null, 1)}\n`);
  if (measured.length > 0) await write("bench.svg", chart(measured, grown, caption));
  if (given.json) console.log(JSON.stringify(toJson(measured), null, 2));
  else console.log(tables);
  if (measured.some((m) => m.contenders.ours === null)) process.exitCode = 1;
  say(`Median (minimum – maximum) of ${rounds} steps. Chart, tables and every sample: ${given.out}`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say(error instanceof MetalrError ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
