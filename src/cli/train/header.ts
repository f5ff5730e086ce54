/** @file What `metalr train` says before it begins: data, weights, network, method, protocol. */
import { sizeOf } from "../../common/tensor.js";
import { printable } from "../../formats/bytes.js";
import { formatCount, formatValue } from "../../records/format.js";
import type { TextStyle } from "../../records/text.js";
import type { WeightMatch } from "../../weights/index.js";
import type { Plan } from "./plan.js";

const LABEL = 10;

/** "data      pocus_data_all.pkl: …", further lines below the text. */
export const labelled = (label: string, lines: readonly string[], { bold }: Required<TextStyle>): string =>
  lines.map((line, i) => (i === 0 ? `${bold(label.padEnd(LABEL))}${line}` : `${" ".repeat(LABEL)}${line}`)).join("\n");

/** The whole header. @param folder where the run goes */
export function header(plan: Plan, folder: string, style: Required<TextStyle>): string {
  const { dataset, opened, method, settings, splits, folds, select } = plan;
  const { model, weights } = opened;
  const parameters = model.parameters.reduce((sum, p) => sum + sizeOf(p.shape), 0);
  const runs =
    folds === 1
      ? "one run"
      : splits.length === folds
        ? `${folds} folds`
        : `${splits.map((s) => s.name).join(", ")} of ${folds} folds`;
  const chosen = {
    validation: "chosen on validation images",
    last: "the last one",
    test: style.warn("leaky: chosen on the test images themselves"),
  }[select];
  return [
    labelled("data", [`${dataset.name}: ${dataLine(plan)}`, ...plan.notes], style),
    weights === null
      ? labelled("weights", ["none: random"], style)
      : labelled(
          "weights",
          [`${plan.weights ?? ""} (${weights.format})`, ...weights.notes, ...matchLines(weights.match)],
          style,
        ),
    labelled(
      "network",
      [
        `${model.name}: ${formatCount(parameters)} parameters in ${model.groups.length} layer groups, ${model.input.channels === 1 ? "grey" : "colour"} images`,
      ],
      style,
    ),
    labelled("method", [`${method.name}: ${optionsLine(method.options)}`], style),
    labelled(
      "protocol",
      [
        `${runs}, ${settings.epochs} epochs of batches of ${settings.batchSize} images; the epoch that counts: ${chosen}`,
      ],
      style,
    ),
    labelled("output", [folder], style),
  ].join("\n");
}

function dataLine({ dataset }: Plan): string {
  const { channels, height, width } = dataset.imageShape;
  const size = height === null || width === null ? "of several sizes" : `${height}×${width}`;
  const counts = dataset.classes.map(
    (name, c) => `${name} ${formatCount(dataset.labels.reduce((n, l) => n + (l === c ? 1 : 0), 0))}`,
  );
  const groups = dataset.groups === null ? "" : `, ${formatCount(new Set(dataset.groups).size)} groups`;
  return `${formatCount(dataset.count)} ${channels === 1 ? "grey" : "colour"} images ${size}, ${dataset.classes.length} classes (${counts.join(", ")})${groups}`;
}

/** What became of every tensor of a checkpoint: how they were matched, and by name all that were not. */
export function matchLines({ matched, unmatched, skipped, how }: WeightMatch): string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of skipped) byReason.set(reason, [...(byReason.get(reason) ?? []), printable(name)]);
  return [
    `${matched.size} of ${matched.size + unmatched.length} tensors of the network, matched ${how}`,
    ...(unmatched.length === 0 ? [] : [`start as initialised: ${unmatched.join(", ")}`]),
    ...[...byReason].map(([reason, names]) => `not used: ${names.join(", ")} (${reason})`),
  ];
}

/** Options of a method in one line: "lr 0.01, hyperLr 0.1, …". */
const optionsLine = (options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${inner(value)}`)
    .join(", ");

const inner = (value: unknown): string =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
        .map(([k, v]) => (k === "name" ? formatValue(v) : `${k} ${formatValue(v)}`))
        .join(" ")
    : Array.isArray(value)
      ? `[${formatValue(value)}]`
      : formatValue(value);
