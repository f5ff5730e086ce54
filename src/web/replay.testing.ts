/** @file A worker for tests: replays the golden batches, as `metalr replay` does on Node. */
import { readNpz } from "../formats/npz.js";
import { adam, metalr, openModel, type PickedFile, replay, sgd, webExecutor, webPlatform } from "./index.js";

export interface ReplayRequest {
  readonly weights: PickedFile;
  readonly batches: PickedFile;
  readonly classes: number;
  readonly hyper: {
    readonly lr: number;
    readonly hyperLr: number;
    readonly update: "additive" | "proportional" | "log";
    readonly bounds: readonly [number, number] | null;
    readonly optimizer: "sgd" | "adam";
  };
  readonly runtime: Parameters<typeof webExecutor>[0];
}

addEventListener("message", async ({ data }: MessageEvent<ReplayRequest>) => {
  try {
    const { weights, batches, classes, hyper, runtime } = data;
    const model = await openModel(null, { weights, classes });
    const platform = webPlatform({ picked: [batches] });
    const executor = await webExecutor(runtime);
    const method = metalr({
      lr: hyper.lr,
      backboneRatio: 0.1,
      hyperLr: hyper.hyperLr,
      update: hyper.update,
      bounds: hyper.bounds,
      lookAhead: -1,
      headWarmup: { steps: 0 },
      optimizer: hyper.optimizer === "sgd" ? sgd() : adam({ eps: 1e-2, weightDecay: 1e-4 }),
    });
    const result = await replay({
      model,
      method,
      batches: await readNpz(batches.path, platform, ["train_x", "train_y", "val_x", "val_y"]),
      executor,
    });
    postMessage({
      steps: result.steps,
      lowering: result.lowering,
      executor: executor.description,
      isolated: crossOriginIsolated,
    });
  } catch (error) {
    postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
});
