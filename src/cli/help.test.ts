/** @file docs/CLI.md is the help of every command, word for word: `npx vitest run src/cli/help.test.ts -u` writes it anew. */
import { expect, test } from "vitest";
import { commands } from "./commands/index.js";
import { run } from "./host.testing.js";

const help = async (...argv: string[]): Promise<string> => (await run([...argv, "--help"])).out.trimEnd();

test("docs/CLI.md is the help of every command", async () => {
  const sections = [
    `# The command line\n\nWhat \`metalr --help\` and \`metalr COMMAND --help\` print.\n\n\`\`\`\n${await help()}\n\`\`\``,
  ];
  for (const { name, summary } of commands) {
    if (summary === "") continue; // not yet for everybody
    sections.push(`## metalr ${name}\n\n\`\`\`\n${await help(name)}\n\`\`\``);
  }
  await expect(`${sections.join("\n\n")}\n`).toMatchFileSnapshot("../../docs/CLI.md");
});

test("every line of every help fits into the width it is written for", async () => {
  for (const argv of [[], ...commands.map(({ name }) => [name])]) {
    const long = (await help(...argv)).split("\n").filter((line) => line.length > 100 && !line.startsWith("  metalr "));
    expect(long, argv.join(" ")).toEqual([]);
  }
});
