/** @file The peers in PyTorch: whether there is a torch at all, and the two steps of bench/peers/peer.py as contenders. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Contender, type Facts } from "./protocol.js";
import type { Workload } from "./workloads.js";

export type PeerName = "released" | "twoPass";

const script = fileURLToPath(new URL("./peers/peer.py", import.meta.url));

/** Version of the torch that a Python has, or null where it has none (or where there is no such Python). */
export async function torchVersion(python: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(python, ["-c", "import torch; print(torch.__version__)"]);
    return stdout.trim();
  } catch {
    return null;
  }
}

/** A loaded and warmed peer. */
export async function startPeer(python: string, name: PeerName, workload: Workload): Promise<[Contender, Facts]> {
  const start = async (channelsLast: boolean): Promise<[Contender, Facts, number]> => {
    const peer = new Contender(name, python, [script]);
    try {
      const facts = await peer.load(workload, { kind: name, channelsLast });
      await peer.step(name); // the first step makes oneDNN's primitives
      return [peer, facts, Math.min(await peer.step(name), await peer.step(name))];
    } catch (error) {
      await peer.close();
      throw error;
    }
  };
  if (name === "released") return (await start(false)).slice(0, 2) as [Contender, Facts]; // the first two of the triple
  // "Best" depends on the network: channels_last wins for ResNet-18 and loses for ResNet-20. Each tries in a process of
  // its own, so that the peak memory of the winner is its own.
  const last = await start(true);
  const first = await start(false);
  const [winner, loser] = last[2] <= first[2] ? [last, first] : [first, last];
  await loser[0].close();
  return [winner[0], winner[1]];
}
