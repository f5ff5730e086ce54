/** @file The bars of a terminal, the same for every command that trains. */
import { MultiBar } from "cli-progress";

/** Bars that say "what", how much of it, and "facts"; they are cleared when all are complete. */
export const barsOn = (terminal: NodeJS.WriteStream): MultiBar =>
  new MultiBar({
    stream: terminal,
    format: "{what} {bar} {percentage} %  {facts}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
    gracefulExit: false, // Ctrl-C is handled by bin.ts
    fps: 8,
  });
