/** @file The operations of pickle protocols 0 to 5, named as in CPython's pickletools; what is not here is refused. */
import type { Machine } from "./_pickle-machine.js";
import type { PickleValue } from "./_pickle-values.js";

/** Operations that end with one new value on the stack. */
const values: Readonly<Record<string, (m: Machine) => PickleValue>> = {
  N: () => null,
  "\x88": () => true,
  "\x89": () => false,
  I: ({ in: input }) => {
    const text = input.line(); // "00" and "01" are the booleans of protocol 0
    return text === "00" ? false : text === "01" ? true : input.integer(text);
  },
  L: ({ in: input }) => input.integer(input.line().replace(/L$/, "")),
  J: ({ in: input }) => input.i32(),
  K: ({ in: input }) => input.u8(),
  M: ({ in: input }) => input.u16(),
  "\x8a": ({ in: input }) => input.long(input.u8()), // LONG1
  "\x8b": ({ in: input }) => input.long(input.u32()), // LONG4
  F: ({ in: input }) => input.float(input.line()),
  G: ({ in: input }) => input.f64(),

  S: ({ in: input }) => input.quoted(), // STRING
  T: ({ in: input }) => input.text(input.block(input.u32()), "latin1"), // BINSTRING
  U: ({ in: input }) => input.text(input.block(input.u8()), "latin1"), // SHORT_BINSTRING
  V: ({ in: input }) => input.text(input.lineBytes(), "raw-unicode-escape"), // UNICODE
  X: ({ in: input }) => input.text(input.block(input.u32()), "utf-8"),
  "\x8c": ({ in: input }) => input.text(input.block(input.u8()), "utf-8"),
  "\x8d": ({ in: input }) => input.text(input.block(input.u64()), "utf-8"),
  B: ({ in: input }) => input.block(input.u32()),
  C: ({ in: input }) => input.block(input.u8()),
  "\x8e": ({ in: input }) => input.block(input.u64()), // BINBYTES8
  "\x96": ({ in: input }) => input.block(input.u64()), // BYTEARRAY8

  "]": () => [],
  ")": () => [],
  "}": () => new Map(),
  "\x8f": () => new Set(),
  l: (m) => m.popMark(), // LIST
  t: (m) => m.popMark(), // TUPLE
  "\x85": (m) => tuple(m, 1),
  "\x86": (m) => tuple(m, 2),
  "\x87": (m) => tuple(m, 3),
  d: (m) => {
    const map = new Map<PickleValue, PickleValue>();
    m.put(m.popMark(), map);
    return map;
  },
  "\x91": (m) => new Set(m.popMark()), // FROZENSET

  "2": (m) => m.top(), // DUP
  g: (m) => m.remembered(m.in.index()),
  h: (m) => m.remembered(m.in.u8()),
  j: (m) => m.remembered(m.in.u32()),

  c: (m) => {
    const module = m.in.line();
    return m.global(module, m.in.line());
  },
  "\x93": (m) => {
    const name = m.pop(); // STACK_GLOBAL
    return m.global(m.pop(), name);
  },
  R: (m) => {
    const args = m.pop(); // REDUCE
    return m.call(m.pop(), args);
  },
  "\x81": (m) => {
    const args = m.pop(); // NEWOBJ
    return m.call(m.pop(), args);
  },
  "\x92": (m) => {
    const keywords = m.pop(); // NEWOBJ_EX
    const args = m.pop();
    if (!(keywords instanceof Map) || keywords.size > 0) throw m.in.damaged("an object has keyword arguments");
    return m.call(m.pop(), args);
  },
  i: (m) => {
    const module = m.in.line(); // INST
    const target = m.global(module, m.in.line());
    return m.call(target, m.popMark());
  },
  o: (m) => {
    const [target, ...args] = m.popMark(); // OBJ
    return m.call(target, args);
  },
  P: (m) => m.persistent(m.in.line()),
  Q: (m) => m.persistent(m.pop()),
};

function tuple(m: Machine, length: number): PickleValue {
  return Array.from({ length }, () => m.pop()).reverse();
}

/** Operations that change what is there. */
const changes: Readonly<Record<string, (m: Machine) => void>> = {
  "\x80": (m) => m.protocol(m.in.u8()),
  "\x95": (m) => void m.in.u64(), // FRAME: its length is of no use to us
  "(": (m) => m.mark(),
  "0": (m) => m.discard(), // POP
  "1": (m) => void m.popMark(),
  a: (m) => m.append([m.pop()]),
  e: (m) => m.append(m.popMark()),
  s: (m) => {
    const value = m.pop(); // SETITEM
    m.put([m.pop(), value]);
  },
  u: (m) => m.put(m.popMark()),
  "\x90": (m) => m.add(m.popMark()),
  p: (m) => m.remember(m.in.index()),
  q: (m) => m.remember(m.in.u8()),
  r: (m) => m.remember(m.in.u32()),
  "\x94": (m) => m.remember(),
  b: (m) => m.build(m.pop()),
};

/**
 * By the byte that stands for each. Left out on purpose: EXT1 … EXT4 (names from a registry that only the writer has) and
 * NEXT_BUFFER (bytes outside the file). STOP is the reader's.
 */
export const operations: readonly (((m: Machine) => void) | undefined)[] = Array.from({ length: 256 }, (_, code) => {
  const letter = String.fromCharCode(code);
  const value = values[letter];
  return value === undefined ? changes[letter] : (m: Machine) => m.push(value(m));
});
