/** @file Python pickles, protocols 0 to 5, as data only: what may be constructed is on a list, the rest is refused by name. */
import { FileError } from "../common/errors.js";
import { Machine } from "./_pickle-machine.js";
import { operations } from "./_pickle-ops.js";
import { LongText } from "./_pickle-reader.js";
import { Built, type Construct, GlobalName, type PickleOptions, type PickleValue } from "./_pickle-values.js";
import { formatCount } from "./bytes.js";

export { Built, type Construct, GlobalName, LongText, type PickleOptions, type PickleValue };

/** Operations, and so values and memo entries; an array of NumPy takes a dozen. */
const MAX_OPERATIONS = 10_000_000;
/** Operations that make a Map, a Set or an object count as twenty, because they take as much more memory. */
const heavy = new Set(Array.from("}d\x8f\x91R\x81\x92io", (letter) => letter.charCodeAt(0)));
const STOP = 0x2e;

/**
 * One value, and where the next thing in the file begins. Time and memory are linear in the bytes read.
 *
 * @throws {FileError} truncated, damaged, or a name that is not allowed, which is in the message
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions): { value: PickleValue; end: number } {
  const machine = new Machine(bytes, options);
  for (let n = 0; n < MAX_OPERATIONS; ) {
    const code = machine.in.u8();
    n += heavy.has(code) ? 20 : 1;
    if (code === STOP) return { value: machine.pop(), end: machine.in.at };
    const operation = operations[code];
    if (operation === undefined) {
      throw machine.in.damaged(`operation 0x${code.toString(16).padStart(2, "0")} is not known`, machine.in.at - 1);
    }
    operation(machine);
  }
  throw new FileError(options.name, {
    problem: "the pickle holds too many values",
    expected: `at most ${formatCount(MAX_OPERATIONS)} operations (a NumPy array takes a dozen)`,
    hint: "save numbers as NumPy arrays instead of lists",
  });
}
