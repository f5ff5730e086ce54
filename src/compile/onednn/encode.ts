/** @file Instructions → the word stream that the native code reads, checked on the way: what is wrong never reaches C++. */
import { InternalError } from "../../common/errors.js";
import { bytesOf, type Instruction, instructionNumber, type Region, type Space, type Word } from "./program.js";

const spaceNumber: Readonly<Record<Space, number>> = { arena: 0, constants: 1, input: 2, output: 3 };

/** What operands may name. */
export interface Limits {
  readonly arenaBytes: number;
  readonly constantBytes: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** @throws {InternalError} naming the instruction whose operand lies outside its space */
export function encodeProgram(instructions: readonly Instruction[], limits: Limits): Int32Array {
  const words: number[] = [];
  for (const instruction of instructions) {
    words.push(instructionNumber[instruction.kind], 0);
    const start = words.length;
    for (const word of instruction.words) pushWord(words, word, instruction, limits);
    words[start - 1] = words.length - start;
  }
  return Int32Array.from(words);
}

const bits = new DataView(new ArrayBuffer(4));

function pushWord(words: number[], word: Word, i: Instruction, limits: Limits): void {
  if (word === null) words.push(-1, 0);
  else if ("int" in word) {
    if (!Number.isInteger(word.int) || Math.abs(word.int) > 2 ** 31 - 1)
      throw bad(i, `${word.int} is no 32-bit number`);
    words.push(word.int);
  } else if ("real" in word) {
    bits.setFloat32(0, word.real);
    words.push(bits.getInt32(0));
  } else if ("space" in word) {
    checkBuffer(word, i, limits);
    words.push(spaceNumber[word.space], word.at);
  } else {
    if (!Number.isSafeInteger(word.size)) throw bad(i, `${word.size} is no size`);
    words.push(word.size | 0, Math.floor(word.size / 2 ** 32)); // low word first, the sign in the high one
  }
}

function checkBuffer(b: Region, i: Instruction, limits: Limits): void {
  const end = b.at * 64 + b.size * bytesOf(b.dtype);
  const inside =
    b.at >= 0 &&
    (b.space === "arena"
      ? end <= limits.arenaBytes
      : b.space === "constants"
        ? end <= limits.constantBytes
        : b.at < (b.space === "input" ? limits.inputs : limits.outputs));
  if (!inside) throw bad(i, `an operand lies outside its ${b.space}`);
}

const bad = (i: Instruction, what: string) => new InternalError(`${i.kind} "${i.label}": ${what}`);
