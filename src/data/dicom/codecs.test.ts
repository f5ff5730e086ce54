import { describe, expect, test } from "vitest";
import { nodePlatform } from "../../platform/node/index.js";
import { codecsOf, loadCodecs } from "./codecs.js";
import { columns, encoded, rows } from "./encoded.testing.js";
import { readDicom } from "./read.js";

const codecs = codecsOf(nodePlatform);

describe("frames come back as they were encoded", () => {
  test.each(encoded)("$name", async ({ bytes, lossy, pixels }) => {
    const image = await readDicom(bytes, "scan.dcm", codecs === undefined ? {} : { codecs });
    const { data, shape } = await image.stored(0);
    expect(shape).toEqual(image.samplesPerPixel === 1 ? [rows, columns] : [rows, columns, 3]);
    if (!lossy) expect(data).toEqual(pixels);
    else for (const [i, value] of data.entries()) expect(Math.abs(value - (pixels[i] ?? 0))).toBeLessThan(64);
  });
});

test("the decoders load once, at the first compressed frame", async () => {
  let asked = 0;
  const platform = {
    packageFile: async (path: string) => {
      asked++;
      return nodePlatform.packageFile?.(path) ?? new Uint8Array(0);
    },
  };
  const once = codecsOf(platform);
  expect(asked).toBe(0);
  expect(await once?.()).toBe(await once?.());
  expect(asked).toBe(1);
  expect(codecsOf({})).toBeUndefined();
});

test("after a damaged frame the next one is decoded as if nothing had been", async () => {
  const ready = await codecs?.();
  const shared = async () => ready ?? loadCodecs(new Uint8Array(0));
  const [{ bytes, pixels }] = encoded;
  const broken = bytes.subarray(0, bytes.length - 60);
  const damaged = await readDicom(broken, "scan.dcm", { codecs: shared }).catch(() => null);
  if (damaged !== null) await damaged.stored(0).catch(() => null);
  const image = await readDicom(bytes, "scan.dcm", { codecs: shared });
  expect((await image.stored(0)).data).toEqual(pixels);
});
