/** @file The machine as Node sees it. */
import { hostname } from "node:os";
import type { Platform } from "../types.js";
import { nodeFiles } from "./files.js";
import { nodeImages } from "./images.js";
import { inflate } from "./inflate.js";
import { packageFile } from "./package-file.js";
import { nodeThreads } from "./workers.js";

export const nodePlatform: Platform = {
  files: nodeFiles,
  images: nodeImages,
  inflate,
  threads: nodeThreads,
  packageFile,
  process: { pid: process.pid, host: hostname() },
};
