/** @file The errors of metalr: what went wrong, where, expected against got, and what to do. */

/** The facts of an error; `expected`, `got` and `hint` become the aligned lines under the first one. */
export interface ErrorFacts {
  /** What is wrong, as a clause without a full stop: "input has the wrong number of channels". */
  problem: string;
  expected?: string;
  got?: string;
  /** What the reader can do about it. */
  hint?: string;
  /** The original error, kept for developers and never printed to users. */
  cause?: unknown;
}

/**
 * Base of every error that metalr throws on purpose. `message` is complete and ready to print:
 *
 *     Conv "stem.conv": input has the wrong number of channels
 *       expected 3 (weight [64,3,7,7], group 1)
 *       got      1 (input [8,1,224,224])
 *       hint     open the images with channels: "repeat" to turn grey into three channels
 *
 * Messages never carry patient data.
 */
export class MetalrError extends Error {
  /** Stable, for programs: "shape", "graph", "file", "data", "weights", "usage", "training", "runtime", "internal". */
  readonly code: string;
  /** What the error is about: a node, a file's path, an option. */
  readonly where: string;
  readonly problem: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly hint: string | undefined;

  constructor(code: string, where: string, facts: ErrorFacts) {
    const lines = [`${where}: ${facts.problem}`];
    if (facts.expected !== undefined) lines.push(`  expected ${facts.expected}`);
    if (facts.got !== undefined) lines.push(`  got      ${facts.got}`);
    if (facts.hint !== undefined) lines.push(`  hint     ${facts.hint}`);
    super(lines.join("\n"), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = code;
    this.where = where;
    this.problem = facts.problem;
    this.expected = facts.expected;
    this.got = facts.got;
    this.hint = facts.hint;
  }
}

/** Shapes of values that do not fit together; `where` names the op and the node. */
export class ShapeError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("shape", where, facts);
  }
}

/** A graph that cannot be built, differentiated or compiled; `where` names the node. */
export class GraphError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("graph", where, facts);
  }
}

/** A file that cannot be read or written at all: missing, empty, truncated, of another kind, no space. */
export class FileError extends MetalrError {
  constructor(path: string, facts: ErrorFacts) {
    super("file", path, facts);
  }
}

/** A data set whose content does not make sense: shapes, labels, NaN pixels, folds. */
export class DataError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("data", where, facts);
  }
}

/** Weights that do not fit the network. */
export class WeightsError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("weights", where, facts);
  }
}

/** Wrong usage: an option out of range, two that exclude each other. The command line exits with 2. */
export class UsageError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("usage", where, facts);
  }
}

/** Training that cannot go on: a loss that is not a number, a checkpoint of another run. */
export class TrainingError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("training", where, facts);
  }
}

/** The executor refused a graph or failed while it ran. */
export class RuntimeError extends MetalrError {
  constructor(where: string, facts: ErrorFacts) {
    super("runtime", where, facts);
  }
}

/** A broken invariant of ours, not the caller's mistake. `message` begins with "internal:". */
export class InternalError extends MetalrError {
  constructor(invariant: string, facts?: Partial<ErrorFacts>) {
    super("internal", "internal", { problem: invariant, ...facts });
  }
}
