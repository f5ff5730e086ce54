import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodeFiles as files } from "./files.js";

let folder = "";
let here = "";
beforeAll(() => {
  here = process.cwd();
  folder = mkdtempSync(join(tmpdir(), "metalr-files-"));
  process.chdir(folder); // messages then carry short paths
  writeFileSync("a.bin", Uint8Array.of(1, 2, 3, 4));
  writeFileSync("empty.bin", "");
});
afterAll(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true });
});

describe("reading", () => {
  test("any range of a file, as a copy", async () => {
    const source = await files.open("a.bin");
    expect([source.name, source.size]).toEqual(["a.bin", 4]);
    expect(await source.read(1, 2)).toEqual(Uint8Array.of(2, 3));
    expect(await source.read(4, 0)).toEqual(new Uint8Array(0));
    expect(await messageOf(() => source.read(2, 3))).toContain("a.bin: is shorter than its own content says");
    await source.close();
  });

  test("missing, empty, a folder, a file on the way, a pipe", async () => {
    expect(await messageOf(() => files.open("no.bin"))).toBe("no.bin: does not exist\n  hint     check the path");
    expect(await messageOf(() => files.open("empty.bin"))).toBe(
      "empty.bin: is empty\n  expected a file with content\n  got      0 bytes\n  hint     copy or download it again",
    );
    expect(await messageOf(() => files.open("."))).toBe(".: is a folder, not a file");
    expect(await messageOf(() => files.open("a.bin/x"))).toBe(
      "a.bin/x: does not exist\n  hint     a part of the path is a file, not a folder",
    );
    execFileSync("mkfifo", ["pipe"]);
    expect(await messageOf(() => files.open("pipe"))).toBe("pipe: is a pipe or a device, not a file");
    rmSync("pipe");
  });

  test("a file that shrinks while it is read is said to", async () => {
    writeFileSync("shrinks.bin", new Uint8Array(10));
    const source = await files.open("shrinks.bin");
    writeFileSync("shrinks.bin", new Uint8Array(4));
    expect(await messageOf(() => source.read(0, 10))).toBe(
      "shrinks.bin: became shorter while it was read\n  expected 10 bytes\n  got      4 bytes",
    );
    await source.close();
  });

  test("text without its byte-order mark and without a character cut off at the end", async () => {
    writeFileSync("t.txt", Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xc3, 0xa9, 0xc3));
    expect(await files.readText("t.txt")).toBe("aé");
    writeFileSync("t.txt", Uint8Array.of(0x61, 0xe9, 0x62));
    expect(await messageOf(() => files.readText("t.txt"))).toBe(
      "t.txt: is not UTF-8 text\n  hint     save it as UTF-8",
    );
    expect(await messageOf(() => files.readText("."))).toBe(".: is a folder, not a file");
  });

  test("folders, sorted by code unit, links followed, dead links left out", async () => {
    await files.makeFolder("list/sub");
    for (const name of ["b", "B", "a10", "a9", "é"]) writeFileSync(`list/${name}`, "x");
    symlinkSync("sub", "list/link");
    symlinkSync("nowhere", "list/dead");
    expect((await files.list("list")).map((e) => `${e.name}:${e.kind}`)).toEqual([
      "B:file",
      "a10:file",
      "a9:file",
      "b:file",
      "link:folder",
      "sub:folder",
      "é:file",
    ]);
    expect(await messageOf(() => files.list("a.bin"))).toBe("a.bin: is a file, not a folder");
    expect(await messageOf(() => files.list("no"))).toBe("no: does not exist\n  hint     check the path");
    expect([await files.kind("list"), await files.kind("a.bin"), await files.kind("list/dead")]).toEqual([
      "folder",
      "file",
      "missing",
    ]);
  });
});

describe("writing", () => {
  test("replaces the old file whole and leaves no temporary name", async () => {
    await files.makeFolder("out/deep");
    await files.writeAtomic("out/w.txt", "old");
    await files.writeAtomic("out/w.txt", new Uint8Array([0x6e, 0x65, 0x77]));
    expect(readFileSync("out/w.txt", "utf8")).toBe("new");
    expect(readdirSync("out").sort()).toEqual(["deep", "w.txt"]);
  });

  test("where it fails the old content stays and the temporary file goes", async () => {
    expect(await messageOf(() => files.writeAtomic("no/w.txt", "x"))).toBe(
      "no/w.txt: cannot be written: does not exist\n  hint     check the path",
    );
    expect(await messageOf(() => files.writeAtomic("out/deep", "x"))).toBe(
      "out/deep: cannot be written: is a folder, not a file",
    );
    expect(readdirSync("out").sort()).toEqual(["deep", "w.txt"]);
    expect(await messageOf(() => files.makeFolder("a.bin"))).toBe(
      "a.bin: the folder cannot be made: is a file, not a folder",
    );
  });

  test.skipIf(process.getuid?.() === 0)("a folder without permission (skipped for root)", async () => {
    await files.makeFolder("locked");
    chmodSync("locked", 0o500);
    expect(await messageOf(() => files.writeAtomic("locked/w.txt", "x"))).toBe(
      "locked/w.txt: cannot be written: permission denied\n  hint     check who owns the file and its folder",
    );
  });

  test("appends whole lines", async () => {
    await files.append("out/e.jsonl", "1\n");
    await files.append("out/e.jsonl", "2\n3\n");
    expect(await files.readText("out/e.jsonl")).toBe("1\n2\n3\n");
  });

  test("removes files and folders, not the folder that it runs in, and minds nothing that is not there", async () => {
    await files.remove("out");
    await files.remove("out");
    expect(await files.kind("out")).toBe("missing");
    for (const own of [".", "", "..", "/"]) {
      expect(await messageOf(() => files.remove(own))).toBe(
        `${own}: is not removed, because the program runs inside it`,
      );
    }
  });
});

/** /dev/full gives ENOSPC on every write: the same error as a disk without space. */
test("no space left on the device", async () => {
  symlinkSync("/dev/full", "full.jsonl");
  expect(await messageOf(() => files.append("full.jsonl", "line\n"))).toBe(
    "full.jsonl: cannot be written: no space left on the device\n" +
      "  hint     free some space; files that were there before are unchanged",
  );
});
