/**
 * @file A method of one's own: the equations of one training step, and nothing else. This one is sign descent (every weight moves by
 * exactly its layer's rate) with rates that fall from the head to the stem.
 */
import { createModel, fineTune, type Method, scanners, syntheticDataset, withFolds } from "metalr";
import { gradients } from "metalr/autodiff";
import { scalar } from "metalr/graph";
import { defineStep } from "metalr/methods";
import { greater, mul, sub, where } from "metalr/ops";

const signDescent = (lr: number): Method => ({
  name: "sign descent",
  options: { lr },
  needsValidation: false,
  step: (model, shapes) => {
    const initialLr = Float32Array.from(model.groups, (_, j) => lr * 0.8 ** (model.headGroup - j));
    return defineStep(model, shapes, { initialLr }, (s) => {
      const train = s.loss(s.theta, "train", { batchNorm: "update" });
      const g = gradients(train.loss, s.theta);
      const theta = s.parameters.map((parameter, i) => {
        const [p, gradient] = [s.theta[i]!, g[i]!]; // one of each for every parameter
        const sign = sub(
          where(greater(gradient, scalar(0)), scalar(1), scalar(0)),
          where(greater(scalar(0), gradient), scalar(1), scalar(0)),
        );
        return sub(p, mul(sign, s.rateOf(s.lr, parameter)));
      });
      return { theta, buffers: train.buffers, report: { trainLoss: train.loss, lr: s.lr, logits: train.logits } };
    });
  },
  scalars: () => ({}),
});

const data = await syntheticDataset({ scanner: scanners.a, seed: 1, size: 24, train: { patients: 18, frames: 2 } });
const run = await fineTune({
  model: createModel("resnet20", { classes: 3, channels: 1, width: 2 }),
  data: withFolds(data).fold(0, { select: "last" }),
  method: signDescent(0.003),
  select: "last",
  epochs: 3,
  batchSize: 12,
  imageSize: [24, 24],
});
console.log(`training loss by epoch: ${run.history.map((e) => e.trainLoss.toFixed(3)).join(", ")}`);
