/** @file Leak check: near-identical images on both sides of a division, in words. */
import { findTwins } from "./twins.js";
import type { Dataset, Split } from "./types.js";

/** Files are decoded for the check; of more than these it is left out unless somebody asks for it. */
const filesAtMost = 1000;

/** Whether the check is cheap: the pixels are in memory, or the files few. */
export const leakCheckIsCheap = ({ pixels, count }: Dataset): boolean =>
  pixels?.kind === "blocks" || count <= filesAtMost;

/** What the check found, in sentences. */
export interface Leaks {
  /** Over all runs, and what to do; empty where nothing was found. */
  readonly all: readonly string[];
  /** By name of the split, for those that are concerned. */
  readonly bySplit: ReadonlyMap<string, string>;
}

/**
 * Looks for test images with a near-identical image among those that the run learns or selects from.
 *
 * @param splits all runs of a division: folds, or a single one
 * @param o.byGroup the division keeps groups whole
 */
export async function findLeaks(
  dataset: Dataset,
  splits: readonly Split[],
  o: { readonly byGroup: boolean },
): Promise<Leaks> {
  if (dataset.imageShape.depth !== undefined) return { all: [], bySplit: new Map() }; // volumes are not compared
  const partOf = new Int32Array(dataset.count).fill(-1);
  const single = splits.length === 1 ? splits[0] : undefined;
  if (single) {
    for (const part of [single.train, single.meta, single.validation]) for (const i of part) partOf[i] = 0;
    for (const i of single.test) partOf[i] = 1;
  } else for (const [f, { test }] of splits.entries()) for (const i of test) partOf[i] = f;
  const { twinOf, identical, complete } = await findTwins(dataset, partOf);
  const affected = splits.map(({ name, test }) => ({
    name,
    test: test.length,
    twins: test.filter((i) => (twinOf[i] ?? -1) >= 0),
  }));
  const total = affected.reduce((sum, { twins }) => sum + twins.length, 0);
  const groups = single || o.byGroup ? [] : groupsInSeveral(dataset, partOf);
  if (total === 0) return { all: [...groups, ...(complete ? [] : [unfinished])], bySplit: new Map() };
  const tested = affected.reduce((sum, { test }) => sum + test, 0);
  const worst = affected.reduce((a, b) => (b.twins.length > a.twins.length ? b : a));
  const example = worst.twins[0] ?? 0; // the worst has some
  const where = single
    ? ""
    : ` (${affected.flatMap(({ name, twins }) => (twins.length === 0 ? [] : [`${name}: ${twins.length}`])).join(", ")})`;
  // Both of a pair of folds are test images once; in a single run only one of the two is.
  const same = single ? Math.floor(identical / 2) : identical;
  const pixels = same > 0 ? `, ${same} of them equal to the last pixel,` : "";
  const bySplit = new Map(
    affected.flatMap(({ name, test, twins }) =>
      twins.length === 0
        ? []
        : [
            [
              name,
              `${twins.length} of ${test} test images have a near-identical image among those that the run learns from`,
            ],
          ],
    ),
  );
  const all = [
    `${total} of ${tested} test images${where} have a near-identical image${pixels} among those that the run learns from, such as ` +
      `${dataset.imageName(example)} and ${dataset.imageName(twinOf[example] ?? 0)}: the test result will look better than on new images. ${whatToDo(dataset, o.byGroup)}`,
    ...groups,
    ...(complete ? [] : [unfinished]),
  ];
  return { all, bySplit };
}

/**
 * How many images of another data set are near-identical to images of the data; both have to be in memory or few.
 * @param of images of the data, `others` of the other set
 */
export async function sharedImages(
  data: Dataset,
  of: Uint32Array,
  other: Dataset,
  others: Uint32Array,
): Promise<{ readonly count: number; readonly example: readonly [other: string, own: string] } | null> {
  if (data.imageShape.depth !== undefined || !leakCheckIsCheap(data) || !leakCheckIsCheap(other)) return null;
  const { count } = data;
  const both: Dataset = {
    ...data,
    count: count + other.count,
    image: (i) => (i < count ? data.image(i) : other.image(i - count)),
    imageShape: {
      ...data.imageShape,
      type: data.imageShape.type === other.imageShape.type ? (data.imageShape.type ?? "float32") : "float32",
    },
  };
  const partOf = new Int32Array(both.count).fill(-1);
  for (const i of of) partOf[i] = 0;
  for (const i of others) partOf[count + i] = 1;
  const { twinOf } = await findTwins(both, partOf);
  const found = others.filter((i) => (twinOf[count + i] ?? -1) >= 0);
  const first = found[0];
  if (first === undefined) return null;
  return { count: found.length, example: [other.imageName(first), data.imageName(twinOf[count + first] ?? 0)] };
}

/** Groups that are known, and in several folds. */
function groupsInSeveral({ groups }: Dataset, partOf: ArrayLike<number>): string[] {
  if (groups === null) return [];
  const parts = new Map<string, Set<number>>();
  for (const [i, group] of groups.entries()) {
    const part = partOf[i] ?? -1;
    const known = parts.get(group);
    if (part >= 0 && known) known.add(part);
    else if (part >= 0) parts.set(group, new Set([part]));
  }
  const several = [...parts.values()].filter((p) => p.size > 1).length;
  if (several === 0) return [];
  return [
    `${several} of ${parts.size} groups have images in several folds: the folds' test results will look better than on new groups. Divide by group (--by-group)`,
  ];
}

const unfinished = "so many images are alike that the search for near-identical ones on both sides was not finished";

function whatToDo({ groups }: Dataset, byGroup: boolean): string {
  if (groups === null) {
    return "Say which images are of one patient or video (--groups-file) and divide by it (--by-group), or leave the doubles out";
  }
  return byGroup
    ? "They are in different groups: one patient or video may have two names; correct the groups, or leave the doubles out"
    : "Divide by group (--by-group), or leave the doubles out";
}
