/** @file The lines of a file that grows: each call reads what is new, and a file that was replaced or cut is read anew. */
import { type FileHandle, open, stat } from "node:fs/promises";

const CHUNK = 1 << 18;
/** A longer line is no event of ours. */
const MAX_LINE = 1 << 20;

export class GrowingFile {
  private inode = 0;
  private offset = 0;
  private seen = -1;
  private mtime = 0;
  private rest: Buffer = Buffer.alloc(0);
  private skipping = false;

  /** @param most read at most this many bytes from the end of a file that is there already */
  constructor(
    readonly path: string,
    private readonly most = Number.POSITIVE_INFINITY,
  ) {}

  /** Milliseconds since 1970; 0 where the file is missing. */
  get changedAt(): number {
    return this.mtime;
  }

  /**
   * Reads on to the end of the file.
   *
   * @param restart called when the file is not the one of the last call, before its lines
   * @param take called with the whole lines of every chunk; a last line without its line break waits for the next call
   * @returns whether there was anything new
   */
  async read(restart: () => void, take: (lines: readonly string[]) => void): Promise<boolean> {
    const now = await stat(this.path).catch(() => null);
    if (now === null || !now.isFile()) {
      if (this.seen < 0) return false;
      this.forget();
      restart();
      return true;
    }
    if (now.ino === this.inode && now.size === this.seen && now.mtimeMs === this.mtime) return false;
    if (now.ino !== this.inode || now.size < this.offset) {
      this.forget();
      restart();
      this.inode = now.ino;
      if (now.size > this.most) {
        this.offset = now.size - this.most;
        this.skipping = true; // up to the first line break
      }
    }
    this.seen = now.size;
    this.mtime = now.mtimeMs;
    const file = await open(this.path, "r").catch(() => null);
    if (file === null) return true;
    try {
      await this.readOn(file, now.size, take);
    } finally {
      await file.close();
    }
    return true;
  }

  private forget(): void {
    this.inode = this.offset = this.mtime = 0;
    this.seen = -1;
    this.rest = Buffer.alloc(0);
    this.skipping = false;
  }

  private async readOn(file: FileHandle, size: number, take: (lines: readonly string[]) => void): Promise<void> {
    const chunk = Buffer.alloc(Math.min(CHUNK, Math.max(size - this.offset, 0)));
    while (this.offset < size) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, size - this.offset), this.offset);
      if (bytesRead === 0) return;
      this.offset += bytesRead;
      const bytes = Buffer.concat([this.rest, chunk.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(10);
      this.rest = bytes.subarray(end + 1);
      if (this.rest.length > MAX_LINE) {
        this.rest = Buffer.alloc(0);
        this.skipping = true;
      }
      if (end < 0) continue;
      const lines = bytes.toString("utf8", 0, end).split("\n");
      if (this.skipping) lines.shift();
      this.skipping = false;
      take(lines.filter((line) => line !== "" && line.length <= MAX_LINE));
    }
  }
}
