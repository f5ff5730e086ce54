/** @file events.jsonl: read with damage reported instead of fatal, and cut back to the step of a checkpoint. */
import { FileError } from "../common/errors.js";
import type { ByteSource, FileSystem } from "../platform/types.js";
import type { TrainingEvent } from "../training/types.js";
import { parseEvent } from "./schema.js";

/** A line that is no event. */
export interface DamagedLine {
  /** 1 … */
  readonly line: number;
  readonly problem: string;
}

const CHUNK = 1 << 20;
/** 10,000 groups take less than half of it; a longer line is not an event of ours. */
const MAX_LINE = 1 << 20;

interface Line {
  readonly number: number;
  /** null where it is longer than any event. */
  readonly text: string | null;
  /** False for a last line without a line break. */
  readonly whole: boolean;
}

/** The lines of a file of any size, in memory of one chunk. Bytes that are not UTF-8 become U+FFFD. */
async function* linesOf(source: ByteSource): AsyncGenerator<Line> {
  const decoder = new TextDecoder();
  let pieces: Uint8Array[] = [];
  let held = 0;
  let number = 0;
  const line = (last: Uint8Array, whole: boolean): Line => {
    const length = held + last.length;
    let text: string | null = null;
    if (length <= MAX_LINE) {
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const piece of [...pieces, last]) {
        bytes.set(piece, at);
        at += piece.length;
      }
      text = decoder.decode(bytes);
    }
    pieces = [];
    held = 0;
    return { number: ++number, text, whole };
  };
  for (let offset = 0; offset < source.size; offset += CHUNK) {
    const chunk = await source.read(offset, Math.min(CHUNK, source.size - offset));
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield line(chunk.subarray(start, end), true);
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    held += rest.length;
    if (held <= MAX_LINE) pieces.push(rest); // of a line that is too long only the length counts
  }
  if (held > 0) yield line(new Uint8Array(0), false);
}

/** Opens the log; null where it is missing, or empty because its writer was killed before the first line. */
async function openLog(files: FileSystem, path: string): Promise<ByteSource | null> {
  if ((await files.kind(path)) === "missing") return null;
  try {
    return await files.open(path);
  } catch (error) {
    if (error instanceof FileError && error.problem === "is empty") return null;
    throw error;
  }
}

/**
 * Every event in order, one at a time, so that long runs need not be held in memory. A missing file is a log without events.
 *
 * @param onDamage called for each line that is no event; `torn` for a last line without its line break: its writer was killed, or is still writing
 */
export async function* readEvents(
  files: FileSystem,
  path: string,
  onDamage?: (damage: DamagedLine & { readonly torn: boolean }) => void,
): AsyncGenerator<{ readonly event: TrainingEvent; readonly text: string; readonly whole: boolean }> {
  const source = await openLog(files, path);
  if (source === null) return;
  try {
    for await (const { number, text, whole } of linesOf(source)) {
      if (text === "") continue;
      const parsed = text === null ? { damage: `longer than ${MAX_LINE} bytes` } : parseEvent(text);
      if ("event" in parsed) yield { event: parsed.event, text: text ?? "", whole };
      else onDamage?.({ line: number, problem: parsed.damage, torn: !whole });
    }
  } finally {
    await source.close();
  }
}

/**
 * Cuts the log back to a checkpoint: everything from the first event after step `resumedAt` on is dropped, so are the
 * end of a stopped run and damaged lines; the rest stays byte for byte. The file is replaced atomically, and only when
 * something has to go.
 *
 * @returns the events that stay
 */
export async function cutEventLog(files: FileSystem, path: string, resumedAt: number): Promise<TrainingEvent[]> {
  const kept: TrainingEvent[] = [];
  const lines: string[] = [];
  let dropped = false;
  const all = readEvents(files, path, () => {
    dropped = true;
  });
  let beyond = resumedAt === 0; // nothing of a run without a checkpoint stays, its start included
  for await (const { event, text, whole } of all) {
    if (!whole) dropped = true; // its line break has to come back before anything is appended
    if ("step" in event && event.step > resumedAt) beyond = true;
    if (beyond || event.type === "end") {
      dropped = true;
      continue;
    }
    kept.push(event);
    lines.push(text);
  }
  if (dropped) await files.writeAtomic(path, lines.map((line) => `${line}\n`).join(""));
  return kept;
}
