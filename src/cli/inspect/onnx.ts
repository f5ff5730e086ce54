/** @file An ONNX model in words; with its layer groups where the importer can train it. */
import { MetalrError } from "../../common/errors.js";
import { modelFromOnnx } from "../../models/onnx.js";
import type { Model } from "../../models/types.js";
import { describeOnnx, describeRoles, initializerFacts, summarizeOnnx } from "../../onnx/describe.js";
import { type ImportedOnnx, importOnnx } from "../../onnx/import.js";
import type { OnnxModel } from "../../onnx/model.js";
import { groupFacts, groupLines } from "./groups.js";
import type { Inspected } from "./types.js";

export function describeModelFile(path: string, onnx: OnnxModel, groups: boolean): Inspected {
  const summary = summarizeOnnx(onnx);
  const imported = importedOrReason(path, onnx);
  const trainable = groups ? importOrReason(path, onnx) : null;
  const facts = {
    kind: "onnx",
    ...summary,
    ops: Object.fromEntries(summary.ops),
    metadata: Object.fromEntries(onnx.metadata),
    ...(typeof imported !== "string" && { initializers: initializerFacts(imported) }),
    ...(trainable && (typeof trainable === "string" ? { notTrainable: trainable } : { groups: groupFacts(trainable) })),
  };
  const text = [
    `${path}: ${describeOnnx(onnx)}`,
    ...(typeof imported === "string" ? [] : [describeRoles(imported)]),
    ...[...onnx.metadata].map(([key, value]) => `  ${key}: ${value.length > 200 ? `${value.slice(0, 200)}…` : value}`),
    ...(trainable === null
      ? []
      : typeof trainable === "string"
        ? ["", "cannot be trained as it is:", ...trainable.split("\n").map((l) => `  ${l}`)]
        : ["", "layer groups:", ...groupLines(trainable).map((l) => `  ${l}`)]),
  ].join("\n");
  return { facts, text };
}

/** Which initializers are what, or in words why nobody can tell. */
function importedOrReason(path: string, onnx: OnnxModel): ImportedOnnx | string {
  return orReason(() => importOnnx(onnx, { file: path }));
}

/** The trainable network, or in words why it is none. */
function importOrReason(path: string, onnx: OnnxModel): Model | string {
  return orReason(() => modelFromOnnx(onnx, { name: path }));
}

function orReason<T>(open: () => T): T | string {
  try {
    return open();
  } catch (error) {
    if (error instanceof MetalrError && error.code !== "internal") return error.message;
    throw error;
  }
}
