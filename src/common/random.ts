/** @file Seeded random numbers by key: the same (seed, keys) gives the same stream anywhere, so nothing has to be saved to resume. */

/** 32-bit avalanche of murmur3 (Appleby), used to mix seeds and keys. */
const mix = (h: number): number => {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

const hashKey = (h: number, key: number | string): number => {
  if (typeof key === "number") {
    return mix(mix(h + 0x9e3779b9) ^ mix(key >>> 0) ^ Math.imul(Math.floor(key / 2 ** 32) >>> 0, 0x27d4eb2f));
  }
  for (let i = 0; i < key.length; i++) h = mix(h ^ Math.imul(key.charCodeAt(i) + 1, 0x01000193));
  return mix(h ^ key.length);
};

/** xoshiro128** (Blackman, Vigna 2018), seeded from a seed and any number of keys. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  /** @example new Random(seed, "crop", epoch, sample) */
  constructor(seed: number, ...keys: readonly (number | string)[]) {
    let h = hashKey(0x6d657461, seed);
    for (const key of keys) h = hashKey(h, key);
    this.a = mix(h ^ 0x1b873593);
    this.b = mix(this.a ^ 0xcc9e2d51);
    this.c = mix(this.b ^ 0xe6546b64);
    this.d = mix(this.c ^ h) | 1; // never all zero
  }

  /** Uniform integer in 0 … 2^32 − 1. */
  uint32(): number {
    const x = Math.imul(this.b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Uniform integer in 0 … n − 1, without modulo bias. */
  below(n: number): number {
    const limit = 0x100000000 - (0x100000000 % n);
    let x = this.uint32();
    while (x >= limit) x = this.uint32();
    return x % n;
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** 0 … n − 1 in random order (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = order[i]!; // i and j are below n
      order[i] = order[j]!;
      order[j] = held;
    }
    return order;
  }
}
