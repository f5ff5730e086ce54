/** @file Spellings: options beside those of the help (--batch_size, --data_path), and words as a shell wants them. */
import type { Command } from "./command.js";
import { longName } from "./options.js";

/**
 * The command line with every long option as the help writes it: underscores become hyphens, other names of an option its own.
 * Values stay as they are, and so does everything after "--".
 */
export function normalizeSpelling(argv: readonly string[], commands: readonly Command[]): string[] {
  const command = commands.find((c) => c.name === argv.find((word) => !word.startsWith("-")));
  const other = new Map<string, string>();
  const takesValue = new Set<string>();
  for (const spec of Object.values(command?.options ?? {})) {
    const long = longName(spec.flags);
    for (const alias of spec.aliases ?? []) other.set(`--${alias}`, long);
    if (spec.parse === null) continue;
    takesValue.add(long);
    const short = /^-[a-zA-Z]\b/.exec(spec.flags)?.[0];
    if (short !== undefined) takesValue.add(short);
  }
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ""; // i is below the length
    if (word === "--") return [...words, ...argv.slice(i)];
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const hyphens = name.startsWith("--") ? name.replaceAll("_", "-") : name;
    const own = other.get(hyphens) ?? hyphens;
    words.push(equals < 0 ? own : own + word.slice(equals));
    // The next word is this option's value, even if it begins with a hyphen.
    const value = argv[i + 1];
    if (equals < 0 && takesValue.has(own) && value !== undefined) {
      words.push(value);
      i++;
    }
  }
  return words;
}

/** A word as a shell reads it back. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
