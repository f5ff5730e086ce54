/** @file For tests: the whole message of the error that a piece of work ends with. */
import { MetalrError } from "../common/errors.js";

/** Errors that are not ours fail the test: the user would see a stack trace. */
export async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof MetalrError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** "ok", or the class of our error; anything else is thrown on. */
export async function outcomeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "ok";
  } catch (error) {
    if (error instanceof MetalrError) return error.name;
    throw error;
  }
}
