/** @file Builds commander's program from our commands: arguments, options under their headings, help with defaults and examples. */
import { Command as Commander, CommanderError, Option } from "commander";
import type { Command, Context } from "./command.js";
import type { OptionSpec, OptionValues } from "./options.js";
import { usageError } from "./usage.js";

export interface Invocation {
  readonly command: Command;
  readonly args: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
}

const brackets = { one: "<$>", optional: "[$]", many: "<$...>", any: "[$...]" } as const;

/** Camel case → words of the help: "groupsFile" → "groups-file". */
const hyphenated = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** Line breaks of the source do not count: the help is wrapped at the width of the terminal. An empty line divides paragraphs. */
const paragraphs = (text: string): string => text.replace(/(?<!\n)\n(?!\n)/g, " ");

const examplesText = (command: Command): string =>
  command.examples.length === 0
    ? ""
    : `\nExamples:\n${command.examples.map(([line, meaning]) => `  ${line}\n      ${meaning}`).join("\n")}\n`;

/**
 * @param context where help goes
 * @param invoke called with what the command line asks for
 */
export function buildProgram(
  commands: readonly Command[],
  context: Pick<Context, "out" | "columns" | "style" | "versions">,
  invoke: (invocation: Invocation) => void,
): Commander {
  const program = new Commander("metalr");
  const output = {
    writeOut: context.out,
    writeErr: () => {}, // errors are thrown, and told by `main` in our own form
    getOutHelpWidth: () => context.columns,
    getErrHelpWidth: () => context.columns,
  };
  const setUp = (c: Commander) =>
    c
      .exitOverride()
      .configureOutput(output)
      .configureHelp({ styleTitle: context.style.bold, subcommandTerm: (command) => command.name() })
      .helpOption("-h, --help", "show this help");
  setUp(program)
    .description("Fine-tunes pre-trained networks on medical images and learns one learning rate per layer (MetaLR).")
    .version(context.versions["metalr"] ?? "unknown", "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command")
    .usage("<command> [options]")
    .addHelpText(
      "after",
      `
First steps:
  metalr demo
      see it work in two minutes, without any data
  metalr train -d images.npz -p weights.pth
      fine-tune a network; metalr train --help says which data and weights are read

Options are understood in both spellings: --batch-size and --batch_size.
METALR_DEBUG=1 adds the stack trace to an error message.`,
    );

  for (const command of commands) {
    const c = program.command(command.name, { hidden: command.summary === "" });
    setUp(c)
      .summary(command.summary)
      .description(paragraphs(command.description ?? command.summary));
    if (Object.keys(command.options).length === 0) c.usage(c.usage().replace("[options] ", ""));
    for (const [name, { kind, help }] of Object.entries(command.args)) {
      c.argument(brackets[kind].replace("$", hyphenated(name)), help);
    }
    const keys = new Map<string, string>();
    for (const [key, spec] of Object.entries(command.options)) {
      const option = new Option(
        spec.flags,
        spec.default === undefined ? spec.help : `${spec.help} (default: ${spec.default})`,
      );
      if (spec.parse) option.argParser(spec.parse);
      option.helpGroup(`${spec.heading ?? "Options"}:`);
      keys.set(option.attributeName(), key);
      c.addOption(option);
    }
    const examples = examplesText(command);
    if (examples !== "") c.addHelpText("after", examples.trimEnd());
    c.action((...passed: unknown[]) => {
      const given = c.opts<Record<string, unknown>>();
      invoke({
        command,
        args: Object.fromEntries(Object.keys(command.args).map((name, i) => [name, passed[i]])),
        options: Object.fromEntries([...keys].map(([attribute, key]) => [key, given[attribute]])),
      });
    });
  }
  return program;
}

/**
 * Options of one command from words that were kept in a file.
 * @throws {UsageError} words that this version does not understand
 */
export function parseOptions<O extends Readonly<Record<string, OptionSpec<unknown>>>>(
  name: string,
  options: O,
  words: readonly string[],
): OptionValues<O> {
  let found: unknown = {};
  const command: Command = { name, summary: name, args: {}, options, examples: [], run: async () => undefined };
  const quiet = { out: () => {}, columns: 80, versions: {}, style: { bold: same, dim: same, warn: same } };
  const program = buildProgram([command], quiet, (invocation) => {
    found = invocation.options;
  });
  try {
    program.parse([name, ...words], { from: "user" });
  } catch (error) {
    throw error instanceof CommanderError ? usageError(error, name) : error;
  }
  return found as OptionValues<O>; // from these very options
}

const same = (text: string): string => text;
