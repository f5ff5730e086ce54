/** @file What runs in a Node thread: loads the module that it was started for and answers its messages. */
import { parentPort, type TransferListItem, workerData } from "node:worker_threads";
import { packError } from "../thread-errors.js";
import type { ThreadModule } from "../types.js";
import { nodePlatform } from "./index.js";
import type { Reply } from "./workers.js";

const port = parentPort;
// Both sides of these messages are ours: workers.ts sends { id, message } and passes the module's URL.
const { createHandler } = (await import((workerData as { module: string }).module)) as ThreadModule;
const handle = createHandler(nodePlatform);

port?.on("message", async ({ id, message }: { id: number; message: unknown }) => {
  try {
    const { value, transfer } = await handle(message);
    port.postMessage({ id, value } satisfies Reply, [...transfer] satisfies TransferListItem[]);
  } catch (error) {
    port.postMessage({ id, error: packError(error) } satisfies Reply);
  }
});
