/** @file What `metalr train` says before it begins: data, weights, network, method, protocol. */
import { sizeOf } from "../../common/tensor.js";
import { printable } from "../../formats/bytes.js";
import { lossNameOf } from "../../models/types.js";
import { formatCount, formatValue } from "../../records/format.js";
import { choiceInWords } from "../../records/run-record.js";
import type { WeightMatch } from "../../weights/index.js";
import type { Context } from "../command.js";
import type { Plan } from "./plan.js";

const LABEL = 10;

/** Where it is shown. */
type Page = Pick<Context, "columns" | "style">;

/** "data      pocus_data_all.pkl: …"; further lines, and what does not fit into the width, below the text. */
export function labelled(label: string, lines: readonly string[], { columns, style }: Page): string {
  const wrapped = lines.flatMap((line) => wrap(line, columns - LABEL));
  return wrapped.map((line, i) => (i === 0 ? style.bold(label.padEnd(LABEL)) : " ".repeat(LABEL)) + line).join("\n");
}

/** Lines of at most `width` characters, broken at spaces; a longer word stays whole. Later lines are indented by two. */
function wrap(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    const longer = current === "" ? word : `${current} ${word}`;
    if (longer.length > width && current.trim() !== "") {
      lines.push(current);
      current = `  ${word}`;
    } else current = longer;
  }
  return [...lines, current];
}

/**
 * The whole header.
 * @param runsOn what computes
 * @param folder where the run goes
 */
export function header(plan: Plan, runsOn: string, folder: string, page: Page): string {
  const { dataset, opened, method, settings, splits, folds, select } = plan;
  const { model, weights } = opened;
  const parameters = model.parameters.reduce((sum, p) => sum + sizeOf(p.shape), 0);
  const chosen = splits.map((s) => s.name).join(", ");
  const runs = folds === 1 ? "one run" : splits.length === folds ? `${folds} folds` : `${chosen} of ${folds} folds`;
  const micro = settings.microBatch ? `, at most ${settings.microBatch} at once` : "";
  const images = model.input.channels === 1 ? "grey images" : "colour images";
  const kind = model.task === "segmentation" ? `loss ${lossNameOf(model)}` : images;
  const epochs = settings.epochs === 1 ? "1 epoch" : `${settings.epochs} epochs`;
  return [
    labelled(
      "data",
      [
        `${dataset.name}: ${dataLine(plan)}`,
        ...(plan.meta === null
          ? []
          : [`learning rates judged on ${plan.meta.dataset.name}: ${formatCount(plan.meta.indices.length)} images`]),
        ...plan.notes,
      ],
      page,
    ),
    weights === null
      ? labelled("weights", [plan.weights === null ? "none: random" : `${plan.weights} (the network's own)`], page)
      : labelled(
          "weights",
          [`${plan.weights ?? ""} (${weights.format})`, ...weights.notes, ...matchLines(weights.match)],
          page,
        ),
    labelled(
      "network",
      [`${model.name}: ${formatCount(parameters)} parameters in ${model.groups.length} layer groups, ${kind}`],
      page,
    ),
    labelled("method", [`${method.name}: ${optionsLine(method.options)}`], page),
    labelled(
      "protocol",
      [
        `${runs}, ${epochs} of batches of ${settings.batchSize} ${dataset.segmentation ? "patches" : "images"}${micro}; the epoch that counts: ${choiceInWords(select)}`,
      ],
      page,
    ),
    labelled("runs on", [runsOn], page),
    labelled("output", [folder], page),
  ].join("\n");
}

function dataLine({ dataset }: Plan): string {
  if (dataset.segmentation) return volumesLine(dataset);
  const { channels, height, width } = dataset.imageShape;
  const size = height === null || width === null ? "of several sizes" : `${height}×${width}`;
  const counts = dataset.classes.map(
    (name, c) => `${name} ${formatCount(dataset.labels.reduce((n, l) => n + (l === c ? 1 : 0), 0))}`,
  );
  const groups = dataset.groups === null ? "" : `, ${formatCount(new Set(dataset.groups).size)} groups`;
  return `${formatCount(dataset.count)} ${channels === 1 ? "grey" : "colour"} images ${size}, ${dataset.classes.length} classes (${counts.join(", ")})${groups}`;
}

/** "65 volumes of 24 to 47 × 40 to 59 × 31 to 43 voxels, 1 channel, 3 classes (background, 1, 2)". */
function volumesLine({ segmentation, imageShape, classes, count }: Plan["dataset"]): string {
  const shapes = segmentation?.shapes ?? [];
  const images = shapes.every(([depth]) => depth === 1);
  const spans = (images ? [1, 2] : [0, 1, 2]).map((axis) => {
    const lengths = shapes.map((s) => s[axis] ?? 1);
    const [low, high] = [Math.min(...lengths), Math.max(...lengths)];
    return low === high ? String(low) : `${low}–${high}`;
  });
  const channels = imageShape.channels === 1 ? "1 channel" : `${imageShape.channels} channels`;
  return `${formatCount(count)} ${images ? "images" : "volumes"} of ${spans.join("×")} ${images ? "pixels" : "voxels"}, ${channels}, ${classes.length} classes (${classes.join(", ")})`;
}

/** What became of every tensor of a checkpoint: how they were matched, and by name all that were not. */
function matchLines({ matched, unmatched, skipped, how }: WeightMatch): string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of skipped) byReason.set(reason, [...(byReason.get(reason) ?? []), printable(name)]);
  return [
    `${matched.size} of ${matched.size + unmatched.length} tensors of the network, matched ${how}`,
    ...(unmatched.length === 0 ? [] : [`start as initialised: ${unmatched.join(", ")}`]),
    ...[...byReason].map(([reason, names]) => `not used: ${names.join(", ")} (${reason})`),
  ];
}

/** What is as it always is, unless somebody asked for it. */
const usual: Readonly<Record<string, unknown>> = {
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  momentum: 0,
  direction: "gradient",
  normalize: "none",
  metaEvery: 1,
  lookAhead: -1,
};

const worthSaying = ([name, value]: [string, unknown]): boolean =>
  value !== null && value !== undefined && usual[name] !== value;

/** Options of a method in one line: "lr 0.01, hyperLr 0.1, …". */
const optionsLine = (options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .filter(worthSaying)
    .map(([name, value]) => `${name} ${inner(value)}`)
    .join(", ");

const inner = (value: unknown): string =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
        .filter(worthSaying)
        .map(([k, v]) => (k === "name" ? formatValue(v) : `${k} ${formatValue(v)}`))
        .join(" ")
    : Array.isArray(value)
      ? `[${formatValue(value)}]`
      : formatValue(value);
