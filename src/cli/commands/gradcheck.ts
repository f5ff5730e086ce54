/** @file `metalr gradcheck`: an ONNX network against reference values of its loss, its logits and every gradient, as JSON. */
import { UsageError } from "../../common/errors.js";
import { readNpz } from "../../formats/npz.js";
import { openOnnxModel } from "../../models/open-onnx.js";
import { gradCheck } from "../../training/gradcheck.js";
import { defineCommand, one } from "../command.js";
import { path, section } from "../options.js";
import { executorOf, speedFlags } from "../speed.js";

export const gradcheck = defineCommand({
  name: "gradcheck",
  summary: "Compare a network's loss, logits and gradients with reference values",
  description:
    "REFERENCE.npz holds x, y, eval_logits (running statistics), train_loss (batch statistics, mean cross-entropy) and\n" +
    "grad/NAME for the parameters. Prints JSON alone on standard output: {trainLoss, lossError (relative),\n" +
    "evalLogits: {maxAbsError, …}, gradients: {NAME: {relError}}, worst, unmatched}, with\n" +
    "relError = ‖difference‖ / max(‖reference‖, 1e-3 · the largest ‖reference‖).",
  args: { model: one(".onnx file") },
  options: section("Input", {
    reference: path({ flags: "--reference <file.npz>", help: "reference values" }),
    ...speedFlags,
  }),
  examples: [["metalr gradcheck model.onnx --reference reference.npz", "errors of every gradient, as JSON"]],
  async run(context, { args, options }) {
    const { platform, print } = context;
    if (options.reference === undefined) {
      throw new UsageError("--reference", {
        problem: "is missing",
        hint: "--reference FILE.npz names the reference values",
      });
    }
    const model = await openOnnxModel(args.model, { platform });
    const reference = await readNpz(options.reference, platform);
    const check = await gradCheck(model, reference, await executorOf(context, options));
    print(JSON.stringify(check, null, 1));
    return undefined;
  },
});
