/** @file `metalr studio`: the web application on this machine that shows runs as they learn, and starts new ones. */
import { startStudio } from "../../studio/server/index.js";
import { any, defineCommand } from "../command.js";
import { flag, section, whole } from "../options.js";
import { quoted } from "../spelling.js";
import { trainForm } from "../train/form.js";
import { dataPathOf } from "../train/stored.js";

/** Milliseconds between looks at whether the parent process is there. */
const PERIOD = 500;

export const studio = defineCommand({
  name: "studio",
  summary: "Look at runs in the browser while they learn, and start new ones",
  description:
    "Serves a page to this machine only (127.0.0.1) and opens it. Its address, printed on standard output, holds a token:\n" +
    "without it every request is refused. The page shows every run in the folders, also those that other programs start,\n" +
    "and can start, stop and resume training. It needs no network. Ctrl-C ends it; runs that it started stop after\n" +
    "their step and can be resumed. What is on its pages: docs/STUDIO.md.",
  args: { runs: any("folders of runs; new runs go into the first one (default: runs)") },
  options: section("Studio", {
    port: whole({ flags: "--port <n>", help: "port to listen on", default: "any that is free", min: 0, max: 65535 }),
    open: flag({ flags: "--no-open", help: "do not open the browser" }),
  }),
  examples: [
    ["metalr studio", "the runs of the folder runs/"],
    ["metalr studio runs /data/more-runs --port 8080 --no-open", "several folders, a fixed port"],
  ],
  async run(context, { args, options }) {
    const parent = process.ppid; // asked before anybody can know that the studio is there, and end its parent
    const { platform } = context;
    const command = (words: readonly string[]) => ["metalr", ...words].map(quoted).join(" ");
    const folders = args.runs.length > 0 ? args.runs : ["runs"];
    const server = await startStudio({
      folders,
      platform,
      dataOf: (info) => dataPathOf(platform.files, info),
      form: trainForm(platform.files, command),
      program: [process.execPath, ...process.execArgv, process.argv[1] ?? "metalr"],
      quoted: command,
      log: (line) => context.say(context.style.dim(line)),
      now: context.now,
      ...(options.port !== undefined && { port: options.port }),
    });
    const stop = context.whenInterrupted(() => {
      const running = server.active();
      context.say(running > 0 ? "Stopping the training under way after its step …" : "The studio has ended.");
    });
    context.print(server.url);
    context.say(context.style.dim(`Shows the runs of ${folders.join(", ")}. Ctrl-C ends the studio.`));
    if (options.open !== false) await context.open(server.url);
    await ended(stop, parent);
    await server.close();
    return undefined;
  },
});

/** Resolves when Ctrl-C was pressed, or the process that started this one is gone. */
function ended(stop: AbortSignal, parent: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => process.ppid !== parent && done(), PERIOD);
    const done = () => {
      clearInterval(timer);
      resolve();
    };
    if (stop.aborted) done();
    stop.addEventListener("abort", done);
  });
}
