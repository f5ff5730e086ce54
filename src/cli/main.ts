/** @file The program without its process: a command line and a host in, an exit code out. */
import { CommanderError } from "commander";
import pc from "picocolors";
import { MetalrError, UsageError } from "../common/errors.js";
import type { Command, Context, Host } from "./command.js";
import { commands } from "./commands/index.js";
import { exitCodes } from "./exit-codes.js";
import { buildProgram, type Invocation } from "./program.js";
import { normalizeSpelling, quoted } from "./spelling.js";
import { usageError } from "./usage.js";

/**
 * Runs one command line.
 *
 * @param argv without the program's own name: ["train", "-d", "images.npz"]
 * @returns the exit code: 0; 1 after an error, 2 after a wrong command line (both told on standard error); 130 where Ctrl-C stopped it
 */
export async function main(argv: readonly string[], host: Host, known: readonly Command[] = commands): Promise<number> {
  const words = normalizeSpelling(argv, known);
  const context = contextOf(host, words);
  try {
    const invocation = parse(words, known, context);
    if (invocation === null) return exitCodes.ok;
    return (await invocation.command.run(context, invocation)) ?? exitCodes.ok;
  } catch (error) {
    context.say(errorText(error, host.env["METALR_DEBUG"] === "1", pc.createColors(host.color).red));
    return error instanceof UsageError ? exitCodes.usage : exitCodes.error;
  }
}

/** What a command works with. @param words the command line in our spelling */
export function contextOf(host: Host, words: readonly string[]): Context {
  const color = pc.createColors(host.color);
  return {
    ...host,
    print: (lines) => host.out(`${lines}\n`),
    say: (lines) => host.err(`${lines}\n`),
    style: { bold: color.bold, dim: color.dim, warn: color.yellow },
    argv: words,
    commandLine: ["metalr", ...words.map(quoted)].join(" "),
  };
}

/** What the command line asks for; null where it asked for help or the version, which were written. */
function parse(argv: readonly string[], known: readonly Command[], context: Context): Invocation | null {
  let asked: Invocation | null = null;
  const program = buildProgram(known, context, (invocation) => {
    asked = invocation;
  });
  try {
    program.parse(argv.length === 0 ? ["--help"] : argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (["commander.helpDisplayed", "commander.help", "commander.version"].includes(error.code)) return null;
    const word = argv.find((w) => !w.startsWith("-")) ?? "";
    throw usageError(error, known.some((c) => c.name === word) ? word : "");
  }
  return asked;
}

/**
 * The message of an error of ours as it is; anything else is a mistake of ours and says so. The stack trace is for those who
 * ask for it.
 */
export function errorText(error: unknown, debug: boolean, red: (text: string) => string = (t) => t): string {
  const lines: string[] = [];
  if (error instanceof MetalrError) {
    const [first = "", ...rest] = error.message.split("\n");
    lines.push(red(first), ...rest);
    if (error.code === "internal")
      lines.push("  hint     this is a mistake in metalr: please report it with METALR_DEBUG=1");
  } else {
    const message = error instanceof Error ? error.message : String(error);
    lines.push(red(`internal: ${message.split("\n")[0]}`));
    lines.push("  hint     this is a mistake in metalr: please report it with METALR_DEBUG=1");
  }
  for (let e = error; debug && e instanceof Error; e = e.cause) {
    const frames = (e.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    lines.push(e === error ? "" : `caused by ${e.name}: ${e.message.split("\n")[0]}`, ...frames);
  }
  return lines.filter((line, i) => line !== "" || i === 0).join("\n");
}
