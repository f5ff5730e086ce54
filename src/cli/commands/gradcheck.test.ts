import { describe, expect, test } from "vitest";
import { run } from "../host.testing.js";

const zoo = new URL("../../../fixtures/zoo/", import.meta.url).pathname;

describe("metalr gradcheck", () => {
  test("prints JSON alone", async () => {
    const { out, err, code } = await run([
      "gradcheck",
      `${zoo}vit-tiny/model.onnx`,
      "--reference",
      `${zoo}vit-tiny/reference.npz`,
    ]);
    expect([code, err]).toEqual([0, ""]);
    const result: unknown = JSON.parse(out);
    expect(result).toMatchObject({ unmatched: [], evalLogits: { statistics: "file" } });
  });

  test("asks for the reference", async () => {
    const { code, err } = await run(["gradcheck", "model.onnx"]);
    expect(code).toBe(2);
    expect(err).toContain("--reference: is missing\n  hint     --reference FILE.npz names the reference values");
  });
});
