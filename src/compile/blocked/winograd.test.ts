import { describe, expect, test } from "vitest";
import { Random } from "../../common/random.js";
import { filtering, kronecker, type Matrix, transpose } from "./winograd.js";

const random = new Random(3, "winograd");
const vector = (n: number) => Array.from({ length: n }, () => random.between(-1, 1));
const times = (m: Matrix, v: readonly number[]) => m.map((row) => row.reduce((s, a, i) => s + a * v[i]!, 0)); // as long as a row
/** y[i] = Σ w[t]·x[i + t − 1], zeros outside. */
const convolved = (x: readonly number[], w: readonly number[]) =>
  x.map((_, i) => w.reduce((s, a, t) => s + a * (x[i + t - 1] ?? 0), 0));

const sizes = Array.from({ length: 40 }, (_, i) => i + 1);

describe.each(sizes)("%i pixels", (size) => {
  const { input, weight, output, tiles, products } = filtering(size);
  const [x, w, dy] = [vector(size), vector(3), vector(size)];
  const shared = times(weight, w).flatMap((g) => new Array<number>(tiles).fill(g));
  const near = (got: readonly number[], wanted: readonly number[]) => {
    expect(got).toHaveLength(wanted.length);
    got.forEach((v, i) => {
      expect(Math.abs(v - wanted[i]!), `element ${i}: ${v} for ${wanted[i]}`).toBeLessThan(1e-12);
    });
  };

  test("y = C·((G·w) ⊙ (A·x)) is the convolution", () => {
    const ax = times(input, x);
    near(
      times(
        output,
        ax.map((v, i) => v * shared[i]!),
      ),
      convolved(x, w),
    );
  });

  test("dx = Aᵀ·((G·w) ⊙ (Cᵀ·dy)) is the convolution with the kernel turned", () => {
    const cdy = times(transpose(output), dy);
    near(
      times(
        transpose(input),
        cdy.map((v, i) => v * shared[i]!),
      ),
      convolved(dy, [...w].reverse()),
    );
  });

  test("dw = Gᵀ·((A·x) ⊙ (Cᵀ·dy)) is the correlation", () => {
    const [ax, cdy] = [times(input, x), times(transpose(output), dy)];
    const sums = Array.from({ length: products }, (_, p) =>
      Array.from({ length: tiles }, (_, t) => ax[p * tiles + t]! * cdy[p * tiles + t]!).reduce((a, b) => a + b, 0),
    );
    near(
      times(transpose(weight), sums),
      [0, 1, 2].map((t) => dy.reduce((s, v, i) => s + v * (x[i + t - 1] ?? 0), 0)),
    );
  });
});

test("fewer products than pixels times taps, from two pixels on", () => {
  for (const size of sizes.slice(1)) {
    const { tiles, products, input, output } = filtering(size);
    expect(tiles * products).toBeLessThan(3 * size - 2);
    expect([input.length, output[0]?.length]).toEqual([tiles * products, tiles * products]);
  }
});

test("both axes at once: (a ⊗ b)·(u ⊗ v) = (a·u) ⊗ (b·v)", () => {
  const [a, b, u, v] = [[vector(2), vector(2)], [vector(3)], vector(2), vector(3)];
  const column = (x: readonly number[]) => x.map((e) => [e]);
  const left = times(kronecker(a, b), kronecker(column(u), column(v)).flat());
  const right = kronecker(column(times(a, u)), column(times(b, v))).flat();
  left.forEach((x, i) => {
    expect(x).toBeCloseTo(right[i]!, 12);
  });
});
