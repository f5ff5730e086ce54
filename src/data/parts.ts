/** @file What people call the parts of a data set, in folders, columns and array names. */

export type Part = "train" | "validation" | "test";

/** Lower-case names, and the part that each means. */
export const partNames: Readonly<Record<string, Part>> = {
  train: "train",
  training: "train",
  val: "validation",
  valid: "validation",
  validation: "validation",
  test: "test",
  testing: "test",
};
