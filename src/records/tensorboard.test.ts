import { describe, expect, test } from "vitest";
import { crc32c, maskedCrc32c } from "./crc32c.js";
import { fileHeader, scalars, TensorBoardEncoder } from "./tensorboard.js";

const ascii = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

describe("crc32c", () => {
  test('the check value of "123456789" and the vectors of RFC 3720 B.4', () => {
    expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  test("masked: rotated right by 15, plus 0xa282ead8", () => {
    expect(maskedCrc32c(new Uint8Array(0))).toBe(0xa282ead8);
    // 0xe3069283 rotated right by 15 is 0x2507c60d
    expect(maskedCrc32c(ascii("123456789"))).toBe((0x2507c60d + 0xa282ead8) >>> 0);
  });
});

test("a file begins as TensorFlow writes it: brain.Event:2 in a record of 24 bytes", () => {
  const bytes = fileHeader(0);
  expect(bytes.length).toBe(12 + 24 + 4);
  expect(hex(bytes.subarray(0, 8))).toBe("1800000000000000");
  // field 1 (double 0), field 3 (string of 13 bytes)
  expect(hex(bytes.subarray(12, 23))).toBe(`09${"00".repeat(8)}1a0d`);
  expect(new TextDecoder().decode(bytes.subarray(23, 36))).toBe("brain.Event:2");
});

test("one scalar, byte by byte", () => {
  const data = scalars(1.5, 300, [["a", 0.5]]).subarray(12, -4);
  expect(hex(data)).toBe(
    "09000000000000f83f" + // wall time 1.5
      "10ac02" + // step 300
      "2a0a0a08" + // summary, value
      "0a0161" + // tag "a"
      "150000003f", // simple_value 0.5
  );
});

describe("TensorBoardEncoder", () => {
  const encoder = new TensorBoardEncoder(["stem", "fc"], "2022-06-03T00:00:00.000Z");

  test("the file name holds when the run was created, so that a resumed run continues it", () => {
    expect(encoder.fileName).toBe("events.out.tfevents.1654214400.metalr");
  });

  test("a step becomes its loss, accuracy, and a rate and a hypergradient for each group", () => {
    const bytes = encoder.encode({
      type: "step",
      step: 7,
      epoch: 1,
      trainLoss: 0.5,
      trainAccuracy: 1,
      validationLoss: Number.NaN,
      hypergradient: [1, Number.POSITIVE_INFINITY],
      lr: [1e-3, 1e-2],
      elapsedMs: 1000,
      stepMs: 10,
      waitMs: 0,
      images: 8,
    });
    const text = new TextDecoder("latin1").decode(bytes ?? new Uint8Array(0));
    const tags = ["loss/train", "accuracy/train", "loss/validation", "lr/stem", "hypergradient/stem", "lr/fc"];
    for (const tag of tags) expect(text).toContain(tag);
  });

  test("warnings have no record", () => {
    expect(encoder.encode({ type: "warning", message: "x" })).toBeNull();
  });
});
