/** @file A training in a process of its own, to be killed: continues the run in the folder of its argument, one line an event. */
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { tinyTraining } from "../training/tiny.testing.js";
import { trainRun } from "./trainRun.js";

const [folder = "", workers = "0", checkpointEvery = "2"] = process.argv.slice(2);
const run = await trainRun(folder, {
  ...(await tinyTraining()),
  workers: Number(workers),
  checkpointEvery: Number(checkpointEvery),
  platform: nodePlatform,
  executor: nodeExecutor({ threads: 1 }),
  resume: true,
  report: (e) => {
    process.stdout.write(`${e.type}\n`);
  },
});
process.stdout.write(`${run.reason}\n`);
