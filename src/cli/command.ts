/** @file A command of the program: its words in the help, its arguments and options, and what it does. */
import type { ExecutorChoice } from "../platform/node/executor.js";
import type { Platform } from "../platform/types.js";
import type { TextStyle } from "../records/text.js";
import type { Executor } from "../runtime/types.js";
import type { OptionSpec, OptionValues } from "./options.js";

/** A way to another process of this program; messages are structured clones, in order. */
export interface Channel {
  /** Nothing happens where the other side is gone. */
  send(message: unknown): void;
  /** `closed` is called once: the other side is gone, in words how. */
  listen(on: { message(message: unknown): void; closed(how: string): void }): void;
}

/** A process that was started by this one. */
export interface ChildProgram extends Channel {
  /** Ends it at once. */
  kill(): void;
}

/** What the program sees of the machine and of the person before it. Tests bring their own. */
export interface Host {
  readonly platform: Platform;
  /** Writes to standard output, as it is. */
  out(text: string): void;
  /** Writes to standard error, as it is. */
  err(text: string): void;
  /** The terminal for progress bars, when output and errors both go to one. */
  readonly terminal: NodeJS.WriteStream | null;
  /** Width for wrapped text. */
  readonly columns: number;
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * For commands that stop gently: the first Ctrl-C calls `tell` and aborts the signal, the second ends the process. Without
   * this the first one ends it.
   */
  whenInterrupted(tell: () => void): AbortSignal;
  readonly now: () => Date;
  /** Of metalr itself, Node, …: for the run record. */
  readonly versions: Readonly<Record<string, string>>;
  /** What runs the graphs, made where it is first needed. @throws {RuntimeError} a device that is not there */
  executor(choice: ExecutorChoice): Promise<Executor>;
  /** Cores that may be used, memory that is free, and the most that this process has had so far, in bytes. */
  machine?(): { readonly cores: number; readonly freeBytes: number; readonly peakBytes: number };
  /** Starts this program again with another command line, to talk to; absent where that is not possible. */
  start?(argv: readonly string[]): ChildProgram;
  /** The way to the process that started this one so. */
  readonly parent?: Channel;
  /** SVG to PNG. */
  rasterize(svg: string): Promise<Uint8Array>;
  /** Shows a file as the desktop would; false where there is no display. */
  open(path: string): Promise<boolean>;
}

/** What a command works with. */
export interface Context extends Host {
  /** One or more whole lines to standard output. */
  print(lines: string): void;
  /** One or more whole lines to standard error: for people, beside an output that is for programs. */
  say(lines: string): void;
  readonly style: Required<TextStyle>;
  /** The command line in our spelling, without the program's name. */
  readonly argv: readonly string[];
  /** The same as a shell reads it, for the run record. */
  readonly commandLine: string;
}

/** A positional argument; "many" takes one or more, "any" none or more. */
export interface ArgumentSpec {
  readonly kind: "one" | "optional" | "many" | "any";
  readonly help: string;
}

export type ArgumentValues<A> = {
  readonly [K in keyof A]: A[K] extends { readonly kind: "one" }
    ? string
    : A[K] extends { readonly kind: "optional" }
      ? string | undefined
      : readonly string[];
};

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Paragraphs for the command's own help; default: the summary. */
  readonly description?: string;
  readonly args: Readonly<Record<string, ArgumentSpec>>;
  readonly options: Readonly<Record<string, OptionSpec<unknown>>>;
  /** Command line → what it does. */
  readonly examples: readonly (readonly [commandLine: string, meaning: string])[];
  /** @returns the exit code; nothing for 0 */
  run(
    context: Context,
    given: { readonly args: Readonly<Record<string, unknown>>; readonly options: Readonly<Record<string, unknown>> },
  ): Promise<number | undefined>;
}

/** Checks that `run` asks only for what the command declares, and hides the types from the program that lists commands. */
export function defineCommand<
  const A extends Readonly<Record<string, ArgumentSpec>>,
  const O extends Readonly<Record<string, OptionSpec<unknown>>>,
>(
  command: Omit<Command, "run" | "args" | "options"> & {
    readonly args: A;
    readonly options: O;
    run(
      context: Context,
      given: { readonly args: ArgumentValues<A>; readonly options: OptionValues<O> },
    ): Promise<number | undefined>;
  },
): Command {
  return {
    ...command,
    // The program fills `args` and `options` from this very declaration, so they have these types.
    run: (context, { args, options }) =>
      command.run(context, { args: args as ArgumentValues<A>, options: options as OptionValues<O> }),
  };
}

export const one = (help: string) => ({ kind: "one", help }) as const;
export const optional = (help: string) => ({ kind: "optional", help }) as const;
export const many = (help: string) => ({ kind: "many", help }) as const;
export const any = (help: string) => ({ kind: "any", help }) as const;
