/** @file Tests of png.ts: what is written is what a decoder reads. */
import { expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { encodeGreyPng } from "./png.js";

test("a picture reads the same as it was written", async () => {
  const pixels = Uint8Array.of(0, 1, 127, 128, 254, 255);
  const read = await nodePlatform.images.decode(encodeGreyPng(pixels, 3, 2), "x.png");
  expect({ ...read, data: [...read.data] }).toEqual({ width: 3, height: 2, channels: 1, data: [...pixels] });
});
