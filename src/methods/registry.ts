/** @file Methods by name, as the command line and comparisons ask for them: "metalr", "l2sp:alpha=0.01", "finetune:schedule=cosine". */
import { UsageError } from "../common/errors.js";
import { autoRgn } from "./autoRgn.js";
import { averaged } from "./average.js";
import { discriminative, finetune, lastGroups, lastLayer, layerDecay } from "./finetune.js";
import { l2sp } from "./l2sp.js";
import { ldog } from "./ldog.js";
import { linearProbe } from "./linearProbe.js";
import { type MetaLrOptions, metaLrVariants, metalr } from "./metalr.js";
import { adam, type Optimizer, sgd } from "./optimizers.js";
import { type ScheduleName, scheduled, scheduleNames } from "./schedules.js";
import type { Method } from "./types.js";

/** What all methods share; what a method does not know (LDoG: rates and optimizer) is not used by it. */
export interface MethodChoice {
  /** Rate of the head; default 0.01. */
  readonly lr?: number;
  /** Factor on the rate, LDoG's and MetaLR's upper bound included: one and the same grid for every method. Default 1. */
  readonly lrFactor?: number;
  /** Share of it below the head, for methods that have one; default 0.1. */
  readonly backboneRatio?: number;
  /** Default Adam with weight decay 1e-4; without weight decay for L2-SP, SGD for LDoG. */
  readonly optimizer?: Optimizer;
  readonly schedule?: ScheduleName;
  /** Decay of averaged weights that are evaluated and exported; default none. */
  readonly ema?: number;
  /** The method's own options, over everything else. */
  readonly own?: Readonly<Record<string, unknown>>;
}

type Reader = (text: string) => unknown;
type Given = { lr: number; backboneRatio: number; optimizer: Optimizer } & Readonly<Record<string, unknown>>;

/** An option of one method. */
interface Key {
  readonly read: Reader;
  /** For forms and help; absent where the command line has an option of that meaning. */
  readonly help?: string;
  readonly default?: string;
  /** The words that it can be; absent for numbers. */
  readonly choices?: readonly string[];
}

interface Entry {
  /** For tables. */
  readonly title: string;
  /** One sentence for reports and help. */
  readonly about: string;
  /** Its own options. */
  readonly keys: Readonly<Record<string, Key>>;
  readonly optimizer?: () => Optimizer;
  make(o: Given, factor: number): Method;
}

const number: Reader = (text) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined);
const oneOf =
  (...words: readonly string[]): Reader =>
  (text) =>
    words.find((w) => w === text);

/** One of the words, the first by default. */
const words = (help: string, ...choices: readonly [string, ...string[]]): Key => ({
  read: oneOf(...choices),
  help,
  default: choices[0],
  choices,
});
const numeric = (help: string, standard: string): Key => ({ read: number, help, default: standard });
/** What the command line says by an option of its own. */
const known = (read: Reader): Key => ({ read });

const entries = {
  metalr: {
    title: "MetaLR",
    about:
      "Learns one rate per layer group while training, by its hypergradient on validation batches (Chen et al. 2023).",
    keys: {
      variant: known(oneOf("paper", "released")),
      hyperLr: known(number),
      update: known(oneOf("additive", "proportional", "log")),
      direction: words(
        "look ahead along the gradient, or along the direction of the optimizer's true step",
        "gradient",
        "optimizer",
      ),
      hyperOptimizer: {
        read: oneOf("sgd", "adam"),
        help: "an optimizer on the logarithms of the rates, with --hyper-lr as its step size, instead of --lr-update",
        default: "none",
        choices: ["sgd", "adam"],
      },
      normalize: words(
        "cosine: hypergradients are divided by the norms of both gradients; costs one more weight gradient",
        "none",
        "cosine",
      ),
      metaEvery: numeric("the rates learn in every k-th step only; the others are plain training steps", "1"),
      headWarmupEpochs: known(number),
      bounds: known((text) => (text === "none" ? null : undefined)),
    },
    make({ variant, headWarmupEpochs, ...o }, factor) {
      const bounds = [1e-6, 1e-2 * Math.max(1, factor)] as const;
      return metalr({
        ...(factor > 1 && { bounds }),
        ...metaLrVariants[variant === "released" ? "released" : "paper"],
        ...(headWarmupEpochs !== undefined && { headWarmup: { epochs: Number(headWarmupEpochs) } }),
        ...(o as MetaLrOptions), // texts were read by `keys`; programs are checked by metalr's own types before
      });
    },
  },
  finetune: {
    title: "Full fine-tuning",
    about: "All layers at rates that are set beforehand.",
    keys: { backboneRatio: known(number) },
    make: finetune,
  },
  lastLayer: {
    title: "Last layer",
    about: "The head alone, on features that do not move.",
    keys: {},
    make: lastLayer,
  },
  lastGroups: {
    title: "Last layer groups",
    about: "The last layer groups alone (two, unless said otherwise).",
    keys: {
      groups: numeric("how many layer groups are trained, counted from the end", "2"),
      backboneRatio: known(number),
    },
    make: lastGroups,
  },
  linearProbe: {
    title: "Linear probe, then fine-tuning",
    about: "The head alone first, then all layers (Kumar et al. 2022).",
    keys: {
      probeShare: numeric("share of the epochs that train the head alone, between 0 and 1", "0.5"),
      backboneRatio: known(number),
    },
    make: linearProbe,
  },
  layerDecay: {
    title: "Layer-wise decay",
    about: "Each layer group at 0.75 of the rate of the one above it (He et al. 2022).",
    keys: { decay: numeric("rate of a layer group as a share of that of the group above it", "0.75") },
    make: layerDecay,
  },
  discriminative: {
    title: "Discriminative rates",
    about: "Each layer group at 1/2.6 of the rate of the one above it (Howard and Ruder 2018).",
    keys: { decay: numeric("rate of a layer group as a share of that of the group above it", "1/2.6") },
    make: discriminative,
  },
  l2sp: {
    title: "L2-SP",
    about: "Fine-tuning that is pulled back to the weights at its start (Li et al. 2018).",
    keys: {
      alpha: numeric("strength of the pull of all layers but the head towards the weights at the start", "0.1"),
      beta: numeric("weight decay of the head", "0.01"),
      backboneRatio: known(number),
    },
    optimizer: () => adam(),
    make: l2sp,
  },
  autoRgn: {
    title: "Auto-RGN",
    about: "Rates in proportion to each layer group's relative gradient norm, set anew every epoch (Lee et al. 2023).",
    keys: {
      keepState: {
        read: (text) => ({ true: true, false: false })[text],
        help: "whether the optimizer keeps its state when the rates are set anew",
        default: "false",
        choices: ["false", "true"],
      },
    },
    make: autoRgn,
  },
  ldog: {
    title: "LDoG",
    about: "Rates from distance over gradients, no rate to choose, averaged weights (Ivgi et al. 2023).",
    keys: {
      relativeStart: numeric("first distance of a layer, as a share of 1 + the norm of its weights", "1e-6"),
      gamma: {
        read: (text) => (text === "none" ? null : number(text)),
        help: "weight of late iterates in the average that is evaluated; none evaluates the last iterate",
        default: "8",
      },
    },
    optimizer: () => sgd(),
    make: ({ lr: _, ...o }, factor) => ldog({ ...o, lr: factor }),
  },
} as const satisfies Readonly<Record<string, Entry>>;

export type MethodName = keyof typeof entries;
export const methodNames = Object.keys(entries) as readonly MethodName[]; // keys of this object

const table: Readonly<Record<string, Entry | undefined>> = entries;

/** Title and sentence of a method, for reports and help. */
export const aboutMethod = (name: MethodName): { readonly title: string; readonly about: string } => entries[name];

export interface MethodOption {
  readonly key: string;
  readonly help: string;
  readonly default: string;
  /** Empty for numbers. */
  readonly choices: readonly string[];
}

/** The options that one method alone has, for forms: those that the command line has an option for are left out. */
export const optionsOfMethod = (name: MethodName): readonly MethodOption[] =>
  Object.entries<Key>(entries[name].keys).flatMap(([key, { help, default: standard = "", choices = [] }]) =>
    help === undefined ? [] : [{ key, help, default: standard, choices }],
  );

/**
 * The method of a name.
 * @throws {UsageError} a name that is not known, options out of range, `ema` for LDoG, which averages by itself
 */
export function methodByName(name: string, o: MethodChoice = {}): Method {
  const entry = table[name];
  if (!entry) throw unknown(name);
  const { lr = 0.01, lrFactor = 1, backboneRatio = 0.1, schedule = "constant", own = {} } = o;
  const optimizer = o.optimizer ?? entry.optimizer?.() ?? adam({ weightDecay: 1e-4 });
  const given = { lr: lr * lrFactor, backboneRatio, ...own, optimizer: scheduled(optimizer, schedule) };
  const method = entry.make(given, lrFactor);
  if (o.ema === undefined) return method;
  if ("gamma" in method.options) {
    throw new UsageError("ema", { problem: "has no meaning with ldog, which averages weights by itself" });
  }
  return averaged(method, { decay: o.ema });
}

/** A method as people write it. */
export interface MethodSpec {
  readonly name: MethodName;
  /** As it was written: names a row of a table. */
  readonly text: string;
  readonly schedule?: ScheduleName;
  readonly ema?: number;
  readonly own: Readonly<Record<string, unknown>>;
}

/**
 * Reads NAME or NAME:key=value:key=value. Keys are the method's own options and `schedule`, `ema`, in camel case or with hyphens.
 * @throws {UsageError} a name, a key or a value that is not known
 */
export function parseMethod(text: string): MethodSpec {
  const [word = "", ...settings] = text.trim().split(":");
  const name = methodNames.find((n) => n.toLowerCase() === word.replace(/-/g, "").toLowerCase());
  if (name === undefined) throw unknown(word);
  const keys: Readonly<Record<string, Reader>> = {
    ...Object.fromEntries(Object.entries<Key>(entries[name].keys).map(([key, { read }]) => [key, read])),
    schedule: oneOf(...scheduleNames),
    ema: number,
  };
  const own: Record<string, unknown> = {};
  for (const setting of settings) {
    const [key = "", value = ""] = setting.split("=");
    const camel = key.trim().replace(/-([a-z])/gi, (_, letter: string) => letter.toUpperCase());
    const read = Object.hasOwn(keys, camel) ? keys[camel] : undefined;
    if (!read) {
      throw new UsageError(`method ${name}`, {
        problem: "has no such option",
        expected: Object.keys(keys).join(", "),
        got: printable(key),
      });
    }
    const meant = read(value.trim());
    if (meant === undefined) {
      throw new UsageError(`method ${name}`, { problem: `option ${camel} cannot be this`, got: printable(value) });
    }
    own[camel] = meant;
  }
  const { schedule, ema, ...rest } = own;
  return {
    name,
    text: [name, ...settings.map((s) => s.trim())].join(":"),
    ...(schedule !== undefined && { schedule: schedule as ScheduleName }), // its reader knows these alone
    ...(ema !== undefined && { ema: Number(ema) }),
    own: rest,
  };
}

const printable = (text: string): string => (/^[-+.\w]+$/.test(text) ? text : JSON.stringify(text.slice(0, 40)));

const unknown = (name: string): UsageError =>
  new UsageError("method", { problem: "is not known", expected: methodNames.join(", "), got: printable(name) });
