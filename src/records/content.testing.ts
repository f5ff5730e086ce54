/** @file For tests: what of a run folder has to be equal, bit for bit, however often the run was interrupted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Files byte for byte, and every number of the log that is no time. */
export function content(folder: string) {
  const bytes = (name: string) => readFileSync(join(folder, name)).toString("base64");
  const events = readFileSync(join(folder, "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter(({ type }) => type === "step" || type === "epoch" || type === "end")
    .map(({ elapsedMs: _, stepMs: _s, waitMs: _w, ...rest }) => rest);
  return {
    checkpoint: bytes("checkpoints/last.safetensors"),
    selected: bytes("predictions/selected.safetensors"),
    last: bytes("predictions/last.safetensors"),
    onnx: bytes("model.onnx"),
    events,
  };
}
