/** @file A native program as text: one line an instruction, for people who want to see what runs. */
import { bytesOf, type NativeProgram, type Region } from "./program.js";

const name = (b: Region): string => {
  const prefix = { arena: "@", constants: "#", input: "in", output: "out" }[b.space];
  return `${prefix}${b.at}:${b.dtype}[${b.size}]`;
};

/** `times` are milliseconds by instruction, where a profile was taken. */
export function printProgram(p: NativeProgram, times?: readonly number[]): string {
  const head = `native program: ${p.instructions.length} instructions, arena ${(p.arenaBytes / 2 ** 20).toFixed(1)} MiB, constants ${(p.constants.length / 2 ** 10).toFixed(1)} KiB, blocks of ${p.block}, images in ${p.precision}`;
  const lines = p.instructions.map((i, k) => {
    const ms = times?.[k];
    const bytes = [...i.reads, ...i.writes].reduce((n, b) => n + b.size * bytesOf(b.dtype), 0);
    const rate = ms
      ? i.flops > 0
        ? ` ${(i.flops / ms / 1e6).toFixed(0)} GFLOP/s`
        : ` ${(bytes / ms / 1e6).toFixed(1)} GB/s`
      : "";
    const time = ms === undefined ? "" : `${ms.toFixed(3).padStart(9)} ms${rate.padEnd(13)} `;
    return `${String(k).padStart(5)} ${time}${i.kind.padEnd(16)} ${i.reads.map(name).join(" ")} → ${i.writes.map(name).join(" ")}  # ${i.label}`;
  });
  return [head, ...lines].join("\n");
}
