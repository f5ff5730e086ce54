/** @file Errors on their way from a thread: structured clones lose classes and fields, so ours travel as plain facts. */
import * as errors from "../common/errors.js";

export interface PackedError {
  /** Name of the class; "" for errors that are not ours. */
  readonly name: string;
  readonly where: string;
  readonly problem: string;
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
}

const classes = {
  ShapeError: errors.ShapeError,
  GraphError: errors.GraphError,
  FileError: errors.FileError,
  DataError: errors.DataError,
  WeightsError: errors.WeightsError,
  UsageError: errors.UsageError,
  TrainingError: errors.TrainingError,
  RuntimeError: errors.RuntimeError,
};

/** An error as plain data; `cause` stays behind. */
export function packError(error: unknown): PackedError {
  if (!(error instanceof errors.MetalrError)) {
    return {
      name: "",
      where: "thread",
      problem: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
  const { name, where, problem, expected, got, hint } = error;
  return {
    name,
    where,
    problem,
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** The error again; one that was not ours becomes an internal error. */
export function unpackError({ name, where, ...facts }: PackedError): errors.MetalrError {
  for (const [known, Class] of Object.entries(classes)) if (known === name) return new Class(where, facts);
  const { problem, ...rest } = facts;
  return new errors.InternalError(name === "" ? `a thread failed: ${problem}` : problem, rest);
}
