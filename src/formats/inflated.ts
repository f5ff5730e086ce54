/** @file What every way of undoing DEFLATE shares: the bound on what may come out, and what is said of damage. */
import { FileError } from "../common/errors.js";
import { allocate, formatCount } from "./bytes.js";

/** A byte of DEFLATE cannot become more bytes than this, so a small file never claims much memory. */
export const largestRatio = 1032;

/** @param problem what is wrong with the stream */
export const damagedStream = (name: string, problem: string, cause?: unknown): FileError =>
  new FileError(name, { problem, hint: "copy or download the file again", cause });

/** @param packed size of the stream, in bytes */
export const expandsTooFar = (name: string, packed: number, maxBytes: number): FileError =>
  new FileError(name, {
    problem: "expands to more than is allowed",
    expected: `at most ${formatCount(maxBytes)} bytes`,
    got: `more, from ${formatCount(packed)} compressed bytes`,
  });

/** Takes the pieces of an inflated stream into one array, which grows where the guess was too small. */
export class Inflated {
  private out: Uint8Array<ArrayBuffer>;
  private length = 0;

  /**
   * @param packed size of the stream, in bytes
   * @param guess bytes that will come out
   * @throws {FileError} no memory
   */
  constructor(
    private readonly name: string,
    private readonly packed: number,
    private readonly maxBytes: number,
    guess: number,
  ) {
    this.out = allocate(Math.min(guess, maxBytes, packed * largestRatio), name);
  }

  /** @throws {FileError} more than `maxBytes` */
  add(piece: Uint8Array): void {
    const { out, length, maxBytes, name } = this;
    const needed = length + piece.length;
    if (needed > maxBytes) throw expandsTooFar(name, this.packed, maxBytes);
    if (needed > out.length) {
      this.out = allocate(Math.min(maxBytes, Math.max(2 * out.length, needed)), name);
      this.out.set(out.subarray(0, length));
    }
    this.out.set(piece, length);
    this.length = needed;
  }

  whole(): Uint8Array<ArrayBuffer> {
    return this.length === this.out.length ? this.out : this.out.slice(0, this.length);
  }
}
