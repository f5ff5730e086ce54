import { describe, expect, test } from "vitest";
import { noise, reference, sha256 } from "../../fixtures/transforms/reference.js";
import { resize8, resizeFloat } from "./resize.js";

describe("8-bit pixels equal PIL's, bit for bit", () => {
  test.each(reference.resize)("$from → $to, $channels channels", ({ channels, from, to, seed, sha256: wanted }) => {
    const data = noise(channels * from[0] * from[1], seed);
    const out = new Uint8Array(channels * to[0] * to[1]);
    for (let c = 0; c < channels; c++) {
      const plane = { data, offset: c * from[0] * from[1], stride: from[1], width: from[1], height: from[0] };
      resize8(plane, to[1], to[0], out.subarray(c * to[0] * to[1], (c + 1) * to[0] * to[1]));
    }
    expect(sha256(out)).toBe(wanted);
  });

  test.each(reference.small)("$from → $to in full", ({ from, to, input, output }) => {
    const out = new Uint8Array(to[0] * to[1]);
    resize8(
      { data: Uint8Array.from(input), offset: 0, stride: from[1], width: from[1], height: from[0] },
      to[1],
      to[0],
      out,
    );
    expect([...out]).toEqual(output);
  });
});

test.each(reference.resizeFloat)(
  "float pixels equal PIL's mode F: $from → $to",
  ({ from, to, seed, sha256: wanted }) => {
    const data = Float32Array.from(noise(from[0] * from[1], seed), (v) =>
      Math.fround(Math.fround(v * Math.fround(3.7)) - 200),
    );
    const out = new Float32Array(to[0] * to[1]);
    resizeFloat({ data, offset: 0, stride: from[1], width: from[1], height: from[0] }, to[1], to[0], out);
    expect(sha256(out)).toBe(wanted);
  },
);

test("a 4-pixel row shrinks to 2 with the widened triangle: weights 3,3,1 and 1,3,3 of 7", () => {
  const out = new Uint8Array(2);
  resize8({ data: Uint8Array.of(0, 70, 140, 210), offset: 0, stride: 4, width: 4, height: 1 }, 2, 1, out);
  expect([...out]).toEqual([(3 * 0 + 3 * 70 + 140) / 7, (70 + 3 * 140 + 3 * 210) / 7]);
});

test("a rectangle inside a larger picture reads nothing around it", () => {
  const data = noise(10 * 12, 3);
  const inner = new Uint8Array(4 * 5);
  for (let y = 0; y < 4; y++) for (let x = 0; x < 5; x++) inner[y * 5 + x] = data[(y + 2) * 12 + x + 3]!; // inside
  const a = new Uint8Array(9 * 9);
  const b = new Uint8Array(9 * 9);
  resize8({ data, offset: 2 * 12 + 3, stride: 12, width: 5, height: 4 }, 9, 9, a);
  resize8({ data: inner, offset: 0, stride: 5, width: 5, height: 4 }, 9, 9, b);
  expect(a).toEqual(b);
});

test("65,536 white pixels stay white however many taps share the sum", () => {
  const out = new Uint8Array(1);
  resize8({ data: new Uint8Array(65536).fill(255), offset: 0, stride: 65536, width: 65536, height: 1 }, 1, 1, out);
  expect(out[0]).toBe(255);
});

test("a rectangle that leaves its array is an internal error", () => {
  expect(() =>
    resize8({ data: new Uint8Array(8), offset: 1, stride: 4, width: 4, height: 2 }, 2, 2, new Uint8Array(4)),
  ).toThrow("internal: resize of [2,4] at 1 to [2,2] leaves its arrays of 8 and 4");
});
