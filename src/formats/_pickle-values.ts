/** @file What a pickle is made of while it is read: plain data, allowed names, and things under construction. */
import type { LongText } from "./_pickle-reader.js";

/** Lists and tuples are arrays, dictionaries are Maps. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | LongText
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | GlobalName
  | Built;

/** Makes a value of arguments that nobody has checked; throws FileError where they make no sense. */
export type Construct = (args: readonly PickleValue[], name: string) => PickleValue;

/** A name such as "numpy.dtype": an argument of others, and callable where it has a `construct`. */
export class GlobalName {
  constructor(
    readonly name: string,
    readonly construct: Construct | null,
  ) {}
}

/** What a construct may make beyond plain data; `setState` gets what Python would hand to __setstate__. */
export abstract class Built {
  abstract setState(state: PickleValue, name: string): void;
}

export interface PickleOptions {
  /** For messages: the file, and the member where there is one. */
  readonly name: string;
  /** Allowed names, "module.name"; null marks one that may be named but not called. */
  readonly globals: ReadonlyMap<string, Construct | null>;
  /** Turns a persistent id into a value; without it persistent ids are refused. */
  readonly persistent?: (id: PickleValue) => PickleValue;
  /** What to do about a refused name. */
  readonly hint?: (refused: string) => string | undefined;
  /** First byte; default 0. */
  readonly start?: number;
}
