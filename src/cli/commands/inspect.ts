/** @file `metalr inspect`: what is in a data set, a weights file, an ONNX model or a run folder. */
import { defineCommand, many } from "../command.js";
import { inspectPath } from "../inspect/index.js";
import { flag, section } from "../options.js";

export const inspect = defineCommand({
  name: "inspect",
  summary: "Say what is in a data, weights, model or run file",
  description:
    "Opens files and folders and says what is in them: data sets (images, classes, folds, groups), weights (tensors, the network\n" +
    "that they belong to), ONNX models (inputs, outputs, ops), runs (how far, how good). What a file is shows in its content,\n" +
    "not in its name.",
  args: { files: many("files or folders") },
  options: {
    ...section("Output", {
      groups: flag({ flags: "--groups", help: "also list the layer groups of the network with their parameters" }),
      json: flag({ flags: "--json", help: "print JSON alone on standard output: an array with one object a file" }),
    }),
  },
  examples: [
    ["metalr inspect data/pocus_data_all.zip.001", "images, classes and folds"],
    ["metalr inspect pretrained/best_model.pth --groups", "tensors, and the layer groups that get a rate each"],
    ["metalr inspect runs/lung --json", "a run for another program"],
  ],
  async run(context, { args, options }) {
    const found = [];
    for (const path of args.files) {
      const { facts, text } = await inspectPath(path, context, options.groups === true);
      found.push({ path, ...facts });
      if (!options.json) context.print(found.length > 1 ? `\n${text}` : text);
    }
    if (options.json) context.print(JSON.stringify(found, null, 1));
    return undefined;
  },
});
