/** @file compare.json: what a comparison's folder is of, so that one folder never holds trainings that do not belong together. */
import { UsageError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import { join } from "../../records/files.js";

/** Beside comparison.json. */
const protocolFile = "compare.json";

/** What a comparison's folder is of. */
export interface Protocol {
  /**
   * Notes what a data set's trainings are made from; a comparison that goes on must be made from the same, whatever its files are called.
   * @param fingerprints of the data, of the images that judge the learning rates, of the weights
   * @throws {UsageError} one of them was another before
   */
  note(data: string, fingerprints: Readonly<Record<string, string>>): void;
  /** Writes it: once all data sets were opened, so that a comparison that is refused leaves nothing behind. */
  save(): Promise<void>;
}

/**
 * Says what the folder is of; where it holds a comparison already, that one is continued. Methods may be added. Nothing is written yet.
 * @throws {UsageError} the folder is of a comparison with other options
 */
export async function openProtocol(
  files: FileSystem,
  folder: string,
  protocol: Readonly<Record<string, unknown>> & { readonly methods: Readonly<Record<string, unknown>> },
): Promise<Protocol> {
  const path = join(folder, protocolFile);
  const now = JSON.parse(JSON.stringify(protocol)) as Record<string, unknown>; // an object stays one
  if ((await files.kind(path)) === "file") {
    const before = await readObject(files, path);
    const methods = { ...asObject(before["methods"]) };
    for (const [key, options] of Object.entries(asObject(now["methods"]))) {
      if (key in methods && !same(methods[key], options)) throw differs(folder, key, methods[key], options);
      methods[key] = options;
    }
    now["fingerprints"] = before["fingerprints"];
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      if (key !== "methods" && !same(before[key], now[key])) throw differs(folder, key, before[key], now[key]);
    }
    now["methods"] = methods;
  }
  return {
    note(data, fingerprints) {
      const known = asObject(now["fingerprints"]);
      const before = asObject(known[data]);
      checkFingerprints(folder, data, before, fingerprints);
      now["fingerprints"] = { ...known, [data]: { ...before, ...fingerprints } };
    },
    async save() {
      await files.makeFolder(folder);
      await files.writeAtomic(path, `${JSON.stringify(now, null, 2)}\n`);
    },
  };
}

function checkFingerprints(
  folder: string,
  data: string,
  before: Readonly<Record<string, unknown>>,
  fingerprints: Readonly<Record<string, string>>,
): void {
  const names: Readonly<Record<string, string>> = {
    data: `the data set ${data}`,
    metaData: "the data that judge the learning rates",
    weights: "the weights",
  };
  for (const [what, now] of Object.entries(fingerprints)) {
    if (before[what] === undefined || before[what] === now) continue;
    throw new UsageError(folder, {
      problem: `holds a comparison with other content of ${names[what] ?? what}`,
      expected: `fingerprint ${text(before[what]).slice(1, 17)}…`,
      got: `${now.slice(0, 16)}…`,
      hint: "the file has changed since then: choose another folder with --out",
    });
  }
}

const text = (value: unknown): string => JSON.stringify(value) ?? "nothing";
const same = (a: unknown, b: unknown): boolean => text(a) === text(b);

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}; // just checked

async function readObject(files: FileSystem, path: string): Promise<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(await files.readText(path)));
  } catch (cause) {
    throw new UsageError(path, {
      problem: "is damaged: it is not JSON",
      hint: "choose another folder with --out",
      cause,
    });
  }
}

const differs = (folder: string, key: string, before: unknown, now: unknown): UsageError =>
  new UsageError(folder, {
    problem: `holds a comparison with another value of "${key}"`,
    expected: text(before).slice(0, 200),
    got: text(now).slice(0, 200),
    hint: "use the options that it was started with, or choose another folder with --out",
  });
