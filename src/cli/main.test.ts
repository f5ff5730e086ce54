/** @file Tests of main.ts: spellings, help, exit codes and the words for a wrong command line. */
import { describe, expect, test } from "vitest";
import { DataError, InternalError } from "../common/errors.js";
import { defineCommand, many } from "./command.js";
import { commands } from "./commands/index.js";
import { run } from "./host.testing.js";
import { errorText, main } from "./main.js";
import { flag, path, section, whole } from "./options.js";
import { normalizeSpelling } from "./spelling.js";

const sample = defineCommand({
  name: "train",
  summary: "A command for tests",
  args: { images: many("images") },
  options: section("Data", {
    data: path({ flags: "-d, --data <path>", help: "data", aliases: ["data-path"] }),
    batchSize: whole({ flags: "-b, --batch-size <n>", help: "images of a step", default: "128", min: 1 }),
    open: flag({ flags: "--no-open", help: "do not open" }),
  }),
  examples: [],
  run: async (context, { args, options }) => {
    context.print(JSON.stringify({ ...args, ...options }));
    return undefined;
  },
});

describe("spelling", () => {
  test.each([
    [
      ["train", "--batch_size", "3"],
      ["train", "--batch-size", "3"],
    ],
    [
      ["train", "--batch_size=3"],
      ["train", "--batch-size=3"],
    ],
    [
      ["train", "--data_path", "--my_file"],
      ["train", "--data", "--my_file"],
    ],
    [
      ["train", "-d", "--my_file", "--no_open"],
      ["train", "-d", "--my_file", "--no-open"],
    ],
    [
      ["train", "a_b.png", "--", "--batch_size"],
      ["train", "a_b.png", "--", "--batch_size"],
    ],
  ])("%j", (given, expected) => expect(normalizeSpelling(given, [sample])).toEqual(expected));
});

describe("command lines", () => {
  const sampled = async (...argv: string[]) => {
    let [out, err] = ["", ""];
    const outcome = await run([], {});
    expect(outcome.code).toBe(0);
    const code = await main(
      argv,
      {
        out: (t: string) => {
          out += t;
        },
        err: (t: string) => {
          err += t;
        },
        columns: 80,
        color: false,
        env: {},
        versions: {},
      } as unknown as Parameters<typeof main>[1], // the sample uses nothing else of the host
      [sample],
    );
    return { code, out, err };
  };

  test("options that are not given are undefined", async () => {
    expect(await sampled("train", "x.png", "--batch_size", "3")).toEqual({
      code: 0,
      out: '{"images":["x.png"],"batchSize":3,"open":true}\n',
      err: "",
    });
  });

  test.each([
    [
      ["train", "x", "--bath-size", "3"],
      "--bath-size: there is no such option\n  hint     did you mean --batch-size?\n",
    ],
    [
      ["train", "x", "--nonsense"],
      "--nonsense: there is no such option\n  hint     metalr train --help lists the options\n",
    ],
    [["train", "x", "-z"], "-z: there is no such option\n  hint     metalr train --help lists the options\n"],
    [["train", "x", "--data"], "--data: needs a value\n  hint     metalr train --help says which\n"],
    [["train"], "metalr train: <images> is missing\n  hint     metalr train --help shows examples\n"],
    [["trian", "x"], "trian: there is no such command\n  hint     did you mean train?\n"],
    [["paint"], "paint: there is no such command\n  hint     metalr --help lists the commands\n"],
    [["train", "x", "-b", "0"], "--batch-size: must be a whole number ≥ 1, got 0\n"],
  ])("%j", async (argv, err) => expect(await sampled(...argv)).toEqual({ code: 2, out: "", err }));
});

describe("errors", () => {
  const error = new DataError("a.npz", { problem: "is odd", hint: "look", cause: new Error("deep") });
  test("the message as it is, without a stack trace", () => {
    expect(errorText(error, false)).toBe("a.npz: is odd\n  hint     look");
  });
  test("METALR_DEBUG adds the stack, and that of the cause", () => {
    const text = errorText(error, true);
    expect(text).toMatch(/^a\.npz: is odd\n {2}hint {5}look\n +at /);
    expect(text).toMatch(/\ncaused by Error: deep\n +at /);
  });
  test("what is no error of ours says that the mistake is ours", () => {
    const hint = "\n  hint     this is a mistake in metalr: please report it with METALR_DEBUG=1";
    expect(errorText(new TypeError("x is undefined"), false)).toBe(`internal: x is undefined${hint}`);
    expect(errorText(new InternalError("a sum is a sum"), false)).toBe(`internal: a sum is a sum${hint}`);
  });
});

test("every command has a help with its options, and the help of all lists them", async () => {
  const all = await run(["--help"]);
  expect(all.code).toBe(0);
  for (const { name, summary, options } of commands) {
    if (summary !== "") expect(all.out).toMatch(new RegExp(`^  ${name} .*${summary.slice(0, 20)}`, "m"));
    const { code, out, err } = await run([name, "--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const { flags } of Object.values(options)) expect(out).toContain(flags);
    expect(out).toContain(`Usage: metalr ${name}`);
  }
});

test("the version", async () => expect(await run(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "" }));

test("no command shows the help", async () => expect((await run([])).out).toMatch(/^Usage: metalr <command>/));
