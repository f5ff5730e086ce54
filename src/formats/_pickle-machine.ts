/** @file The stack machine that a pickle is a program of: stack, marks, memo, names. */
import { FileError } from "../common/errors.js";
import { LongText, PickleReader } from "./_pickle-reader.js";
import { Built, GlobalName, type PickleOptions, type PickleValue } from "./_pickle-values.js";
import { formatCount, printable } from "./bytes.js";

export class Machine {
  readonly in: PickleReader;
  private stack: PickleValue[] = [];
  private readonly marks: PickleValue[][] = [];
  private readonly memo = new Map<number, PickleValue>();
  /** Characters, bytes and items that constructs may still be given. */
  private budget: number;

  constructor(
    bytes: Uint8Array,
    private readonly options: PickleOptions,
  ) {
    this.in = new PickleReader(bytes, options.name, options.start ?? 0);
    this.budget = 2 ** 16 + 16 * bytes.length;
  }

  /** The memo lets a short pickle hand one long text to a construct many times: each use is counted. */
  private charge(args: readonly PickleValue[]): void {
    for (const arg of args) {
      if (arg instanceof LongText) this.budget -= arg.bytes.length;
      else if (typeof arg === "string" || arg instanceof Uint8Array || Array.isArray(arg)) this.budget -= arg.length;
      else if (arg instanceof Map || arg instanceof Set) this.budget -= arg.size;
    }
    if (this.budget < 0) throw this.in.damaged("it expands to far more than its own length");
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined) throw this.in.damaged("a value is missing");
    return value;
  }

  top(): PickleValue {
    const value = this.stack[this.stack.length - 1];
    if (value === undefined) throw this.in.damaged("a value is missing");
    return value;
  }

  mark(): void {
    this.marks.push(this.stack);
    this.stack = [];
  }

  /** Everything since the last mark. */
  popMark(): PickleValue[] {
    const outer = this.marks.pop();
    if (outer === undefined) throw this.in.damaged("a mark is missing");
    const items = this.stack;
    this.stack = outer;
    return items;
  }

  /** The value above the mark, or the mark itself where nothing is above it. */
  discard(): void {
    if (this.stack.length > 0) this.stack.pop();
    else this.popMark();
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.in.damaged("items are appended to something that is not a list");
    for (const item of items) list.push(item);
  }

  /** @param items keys and values in turn */
  put(items: readonly PickleValue[], map: PickleValue = this.top()): void {
    if (!(map instanceof Map) || items.length % 2 !== 0) {
      throw this.in.damaged("keys are set on something that is not a dictionary");
    }
    for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!); // an even number of them
  }

  add(items: readonly PickleValue[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw this.in.damaged("items are added to something that is not a set");
    for (const item of items) set.add(item);
  }

  remember(index: number = this.memo.size): void {
    this.memo.set(index, this.top());
  }

  remembered(index: number): PickleValue {
    const value = this.memo.get(index);
    if (value === undefined) throw this.in.damaged(`memo ${index} was never stored`);
    return value;
  }

  protocol(protocol: number): void {
    if (protocol <= 5) return;
    throw new FileError(this.options.name, {
      problem: "is a pickle of an unknown protocol",
      expected: "0 to 5",
      got: String(protocol),
    });
  }

  global(module: PickleValue, qualified: PickleValue): GlobalName {
    if (typeof qualified !== "string" || typeof module !== "string") throw this.in.damaged("a name is not text");
    const name = `${module}.${qualified}`;
    const construct = this.options.globals.get(name);
    if (construct !== undefined) return new GlobalName(name, construct);
    throw new FileError(this.options.name, {
      problem: `refused "${printable(name)}"`,
      expected: "a pickle of plain data: arrays, lists, dictionaries, numbers and text",
      got: `one that asks for this name at byte ${formatCount(this.in.at)}`,
      hint: this.options.hint?.(name) ?? "do not load it in Python either unless you trust where it comes from",
    });
  }

  call(target: PickleValue | undefined, args: PickleValue): PickleValue {
    if (!(target instanceof GlobalName)) throw this.in.damaged("something is called that is not a name");
    if (target.construct === null) throw this.in.damaged(`"${target.name}" is called, which only stands for itself`);
    if (!Array.isArray(args)) throw this.in.damaged("arguments are not a tuple");
    this.charge(args);
    return target.construct(args, this.options.name);
  }

  build(state: PickleValue): void {
    const target = this.top();
    // Attributes of an OrderedDict (PyTorch keeps version numbers there) are not part of its content.
    if (target instanceof Map) return;
    if (!(target instanceof Built)) throw this.in.damaged("a state is set on something that has none");
    this.charge(Array.isArray(state) ? state : [state]);
    target.setState(state, this.options.name);
  }

  persistent(id: PickleValue): PickleValue {
    if (this.options.persistent === undefined) throw this.in.damaged("it refers to something outside itself");
    return this.options.persistent(id);
  }
}
