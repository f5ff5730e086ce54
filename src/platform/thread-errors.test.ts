/** @file Facts of errors that cross from a thread: class and whole message stay, shortened class names change nothing. */
import { expect, test } from "vitest";
import {
  DataError,
  FileError,
  GraphError,
  InternalError,
  RuntimeError,
  ShapeError,
  TrainingError,
  UsageError,
  WeightsError,
} from "../common/errors.js";
import { packError, unpackError } from "./thread-errors.js";

const facts = { problem: "is wrong", expected: "this", got: "that", hint: "change it" };
const sent = (error: unknown) => unpackError(structuredClone(packError(error)));

test.each([ShapeError, GraphError, FileError, DataError, WeightsError, UsageError, TrainingError, RuntimeError])(
  "$name arrives as itself, with its whole message",
  (Class) => {
    const error = new Class("a.npz", facts);
    const got = sent(error);
    expect(got).toBeInstanceOf(Class);
    expect(got.message).toBe(error.message);
  },
);

test("a class whose name a bundler has shortened is still known", () => {
  const Tt = class extends FileError {};
  const got = sent(new Tt("a.npz", facts));
  expect(got).toBeInstanceOf(FileError);
  expect(got.message).toBe("a.npz: is wrong\n  expected this\n  got      that\n  hint     change it");
});

test("an invariant of ours stays internal, and what is not ours says where it came from", () => {
  expect(sent(new InternalError("five is five")).message).toBe("internal: five is five");
  expect(sent("no error").message).toBe("internal: a thread failed: no error");
});
