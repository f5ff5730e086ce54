/** @file Errors of the operating system as sentences. */
import { FileError, MetalrError } from "../../common/errors.js";

const sentences: Readonly<Record<string, readonly [problem: string, hint?: string]>> = {
  ENOENT: ["does not exist", "check the path"],
  ENOTDIR: ["does not exist", "a part of the path is a file, not a folder"],
  EISDIR: ["is a folder, not a file"],
  EACCES: ["permission denied", "check who owns the file and its folder"],
  EPERM: ["permission denied", "check who owns the file and its folder"],
  EROFS: ["is on a file system that is read-only", "choose another folder"],
  ENOSPC: ["no space left on the device", "free some space; files that were there before are unchanged"],
  EDQUOT: ["the disk quota is used up", "free some space; files that were there before are unchanged"],
  EFBIG: ["is larger than the file system allows"],
  EMFILE: ["too many files are open at once", "raise the limit (ulimit -n) or use fewer workers"],
  ENFILE: ["too many files are open on this machine"],
  ENAMETOOLONG: ["the name is too long"],
  ELOOP: ["is a symbolic link that leads back to itself"],
  EEXIST: ["is a file, not a folder"],
  EIO: ["the device reported a read or write error"],
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** @param doing what was tried, as in "cannot be written": put before the reason; empty where the reason says all */
export function fileError(path: string, doing: string, cause: unknown): MetalrError {
  if (cause instanceof MetalrError) return cause;
  const code = codeOf(cause);
  const [reason, hint] = sentences[code] ?? [`the system reported ${code || "an unknown error"}`];
  return new FileError(path, {
    problem: doing === "" ? reason : `${doing}: ${reason}`,
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}

export const isMissing = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(codeOf(error));
export const hasCode = (error: unknown, ...codes: string[]): boolean => codes.includes(codeOf(error));
