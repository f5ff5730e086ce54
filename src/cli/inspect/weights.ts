/** @file A checkpoint in words: its tensors, and the built-in network that they belong to. */
import { formatShape } from "../../common/tensor.js";
import { printable } from "../../formats/bytes.js";
import { createModel } from "../../models/index.js";
import { inferResNet } from "../../models/infer.js";
import { formatCount } from "../../records/format.js";
import { type TextStyle, table } from "../../records/text.js";
import { type Checkpoint, describeWeights } from "../../weights/index.js";
import { groupFacts, groupLines } from "./groups.js";
import type { Inspected } from "./types.js";

const formats = {
  "torch-zip": "PyTorch",
  "torch-legacy": "PyTorch, legacy format",
  safetensors: "safetensors",
  npz: "npz",
} as const;

export function describeWeightsFile(
  path: string,
  { tensors, format, notes }: Checkpoint,
  groups: boolean,
  style: TextStyle,
): Inspected {
  const { rows, parameters, bytes } = describeWeights(tensors);
  const network = inferResNet(tensors);
  const model =
    network && groups
      ? createModel(network.architecture, {
          width: network.width,
          channels: network.channels,
          classes: network.classes ?? 2,
        })
      : null;
  const facts = {
    kind: "weights",
    format,
    parameters,
    bytes,
    network,
    tensors: rows.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    ...(model && { groups: groupFacts(model) }),
    notes,
  };
  const belongs =
    network === null
      ? "the names are those of no built-in network"
      : `the names are those of ${network.architecture}, width ${network.width}, ${network.channels === 1 ? "grey" : "colour"} images${network.classes === null ? "" : `, ${network.classes} classes`}`;
  const text = [
    `${path}: weights (${formats[format]}), ${formatCount(rows.length)} tensors, ${formatCount(parameters)} parameters, ${formatCount(bytes)} bytes`,
    `  ${belongs}`,
    ...notes.map((note) => `  note: ${note}`),
    "",
    table(
      [
        { header: "tensor", align: "left" },
        { header: "type", align: "left" },
        { header: "shape", align: "left" },
        { header: "elements" },
      ],
      rows.map(({ name, dtype, shape, elements }) => [
        printable(name),
        dtype,
        formatShape(shape),
        formatCount(elements),
      ]),
      style,
    ),
    ...(groups
      ? [
          "",
          ...(model
            ? [`layer groups of ${model.name}:`, ...groupLines(model).map((l) => `  ${l}`)]
            : ["no layer groups: the network is not known"]),
        ]
      : []),
  ].join("\n");
  return { facts, text };
}
