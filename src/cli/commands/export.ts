/** @file `metalr export`: the network of a run as ONNX or safetensors, and its whole training step as one ONNX graph. */
import { FileError, UsageError } from "../../common/errors.js";
import { compilePortable } from "../../compile/compile.js";
import { encodeSafetensors } from "../../formats/safetensors.js";
import { checkExport } from "../../records/check-export.js";
import { exportModel } from "../../records/export-model.js";
import { join } from "../../records/files.js";
import type { OpenedRun } from "../../records/train-options.js";
import { modelFile } from "../../records/trainRun.js";
import { openRun } from "../../records/use-run.js";
import { defineCommand, one } from "../command.js";
import { flag, path, section, whole } from "../options.js";
import { sharedFlags, singleRun } from "../runs.js";
import { methodOf } from "../train/method.js";
import { storedOptions } from "../train/stored.js";

export const exportRun = defineCommand({
  name: "export",
  summary: "Write the network of a run as ONNX or safetensors",
  description:
    "Writes the network of a run for other programs: as ONNX (any batch size, classes and normalisation in its metadata; checked\n" +
    "against the trained network on random images) or as safetensors with PyTorch's names. --step writes the whole training step\n" +
    "of the run as one ONNX graph, to look at in Netron. Without an option model.onnx is written into the run folder.",
  args: { run: one("run folder") },
  options: {
    ...section("Output", {
      onnx: path({ flags: "--onnx <file>", help: "the network for inference: x float32 [N,C,H,W] in, logits out" }),
      foldBatchNorm: flag({
        flags: "--fold-batch-norm",
        help: "with --onnx: batch norm in the weights of the convolutions (faster; not for further training)",
      }),
      safetensors: path({
        flags: "--safetensors <file>",
        help: "parameters and running statistics by PyTorch's names",
      }),
      step: path({
        flags: "--step <file>",
        help: "the training step: state and batches in, next state and report out",
      }),
      stepBatch: whole({
        flags: "--step-batch <n>",
        help: "images of a batch in the graph of --step",
        default: "that of the run",
        min: 1,
        max: 100_000,
      }),
    }),
    ...section("Network", { weights: sharedFlags.weights }),
  },
  examples: [
    ["metalr export runs/lung/fold-1 --onnx lung.onnx", "for ONNX Runtime, OpenVINO, TensorRT, …"],
    ["metalr export runs/lung/fold-1 --safetensors lung.safetensors", "for torch: model.load_state_dict(load_file(…))"],
  ],
  async run(context, { args, options }) {
    const { platform, print } = context;
    const folder = await singleRun(context, args.run);
    const run = await openRun(folder, { platform, weights: options.weights ?? "selected" });
    const onnx =
      options.onnx ??
      (options.safetensors === undefined && options.step === undefined ? join(folder, modelFile) : undefined);
    const written: [path: string, bytes: Uint8Array][] = [];
    if (onnx !== undefined) {
      const transform = run.transforms.evaluation;
      const foldBatchNorm = options.foldBatchNorm === true;
      const bytes = await exportModel(run.model, { classes: run.classes, transform, foldBatchNorm });
      await checkExport(bytes, run.model, { transform, executor: await context.executor({ executor: "onnxruntime" }) });
      written.push([onnx, bytes]);
    }
    if (options.safetensors !== undefined) written.push([options.safetensors, asSafetensors(run)]);
    if (options.step !== undefined) written.push([options.step, stepGraph(run, options.stepBatch)]);
    for (const [file, bytes] of written) {
      await platform.files.writeAtomic(file, bytes);
      print(file);
    }
    return undefined;
  },
});

const asSafetensors = ({ model, classes, transforms, epoch }: OpenedRun): Uint8Array =>
  encodeSafetensors(model.weights, {
    format: "pt", // PyTorch's own name for "tensors as torch orders them"
    architecture: model.config.architecture,
    classes: JSON.stringify(classes),
    normalization: JSON.stringify(transforms.evaluation.normalization),
    size: transforms.evaluation.size.join("×"),
    epoch: String(epoch),
  });

function stepGraph({ model, info, transforms, folder }: OpenedRun, wanted: number | undefined): Uint8Array {
  const options = storedOptions(info);
  if (options === null) {
    throw new FileError(folder, {
      problem: "does not say how its training step is made: it was not started by metalr train",
    });
  }
  const method = methodOf(options);
  if (method.name !== info.method)
    throw new UsageError(folder, { problem: `is a run of another method (${info.method})` });
  const { channels, size } = transforms.train;
  const shape = [wanted ?? options.batchSize ?? 128, channels, ...size];
  return compilePortable(
    method.step(model, { train: shape, ...(method.needsValidation && { validation: shape }) }).graph,
  ).bytes;
}
