/** @file The options of `metalr train` as the studio's form: the fields of `fields.ts`, files looked for, and the command line. */
import type { FileSystem } from "../../platform/types.js";
import type { TrainForm } from "../../studio/protocol.js";
import { fieldErrors, filePaths, trainFields, trainWords } from "./fields.js";

/** What the studio decides by itself, or shows better. */
const left = new Set(["out", "resume", "logInterval"]);

/** @param quoted a command line as a shell reads it */
export function trainForm(files: FileSystem, quoted: (words: readonly string[]) => string): TrainForm {
  return {
    fields: trainFields(left),
    words: (values) => trainWords(values, left),
    async check(values) {
      const shown = Object.fromEntries(Object.entries(values).filter(([key]) => !left.has(key)));
      const errors = fieldErrors(shown);
      for (const key of filePaths) {
        const path = shown[key]?.trim() ?? "";
        if (path === "" || path === "none" || errors[key] !== undefined) continue;
        if ((await files.kind(path)) === "missing") errors[key] = "does not exist";
      }
      return { errors, command: quoted(trainWords(values, left)) };
    },
  };
}
