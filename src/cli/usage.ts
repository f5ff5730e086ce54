/** @file What commander says about a wrong command line, as errors of ours. */
import type { CommanderError } from "commander";
import { UsageError } from "../common/errors.js";
import { printable } from "../formats/bytes.js";
import { longName } from "./options.js";

/** @param command name of the command, "" before there is one */
export function usageError(error: CommanderError, command: string): UsageError {
  const quoted = /'((?:[^'\\]|\\.)*)'/.exec(error.message)?.[1] ?? "";
  const suggestion = /Did you mean (?:one of )?([^?)]+)\?/.exec(error.message)?.[1];
  const help = `metalr ${command === "" ? "" : `${command} `}--help`;
  switch (error.code) {
    case "commander.unknownOption":
      return new UsageError(printable(quoted), {
        problem: "there is no such option",
        hint: suggestion ? `did you mean ${suggestion}?` : `${help} lists the options`,
      });
    case "commander.optionMissingArgument":
      return new UsageError(longName(quoted), { problem: "needs a value", hint: `${help} says which` });
    case "commander.missingArgument":
      return new UsageError(`metalr ${command}`, { problem: `<${quoted}> is missing`, hint: `${help} shows examples` });
    case "commander.excessArguments": {
      const [expected = "0", got = "more"] = error.message.match(/\d+/g) ?? [];
      return new UsageError(`metalr ${command}`, {
        problem: "there are too many arguments",
        expected,
        got,
        hint: "put quotes around a path with spaces",
      });
    }
    case "commander.unknownCommand":
      return new UsageError(printable(quoted), {
        problem: "there is no such command",
        hint: suggestion ? `did you mean ${suggestion}?` : "metalr --help lists the commands",
      });
    default:
      return new UsageError(`metalr ${command}`.trim(), {
        problem: error.message.replace(/^error: /, ""),
        hint: `${help} lists the options`,
        cause: error,
      });
  }
}
