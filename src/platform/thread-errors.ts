/** @file Errors on their way from a thread: structured clones lose classes and fields, so ours travel as plain facts. */
import * as errors from "../common/errors.js";

export interface PackedError {
  /** The error's own; "" for errors that are not ours. Not the class's name, which bundlers shorten. */
  readonly code: string;
  readonly where: string;
  readonly problem: string;
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
}

const classes: ReadonlyMap<string, new (where: string, facts: errors.ErrorFacts) => errors.MetalrError> = new Map([
  ["shape", errors.ShapeError],
  ["graph", errors.GraphError],
  ["file", errors.FileError],
  ["data", errors.DataError],
  ["weights", errors.WeightsError],
  ["usage", errors.UsageError],
  ["training", errors.TrainingError],
  ["runtime", errors.RuntimeError],
]);

/** An error as plain data; `cause` stays behind. */
export function packError(error: unknown): PackedError {
  if (!(error instanceof errors.MetalrError)) {
    return {
      code: "",
      where: "thread",
      problem: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
  const { code, where, problem, expected, got, hint } = error;
  return {
    code,
    where,
    problem,
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** The error again; one that was not ours becomes an internal error. */
export function unpackError({ code, where, ...facts }: PackedError): errors.MetalrError {
  const Class = classes.get(code);
  if (Class !== undefined) return new Class(where, facts);
  const { problem, ...rest } = facts;
  return new errors.InternalError(code === "" ? `a thread failed: ${problem}` : problem, rest);
}
