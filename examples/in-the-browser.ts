/**
 * @file metalr/web in a worker of one's own (it runs on Node as well, on the same WebAssembly): a file that a person picked is read in
 * place and fine-tuned on, and nothing is sent anywhere. A page that wants none of this in its own hands calls `openTrainer`, which
 * starts such a worker, keeps its runs in the browser's storage and tells the page every step.
 */
import { createModel, fineTune, metalr, openDataset } from "metalr/web";

/** In a page: `input.files`, or `await filesOfDrop(event.dataTransfer)`. Here a table of four made-up images in an .npz would do. */
export async function learn(picked: File | FileList | readonly File[]): Promise<string> {
  const data = await openDataset(picked);
  const run = await fineTune({
    model: createModel("resnet20", { classes: data.classes.length, channels: data.imageShape.channels, width: 2 }),
    data: data.fold(0),
    method: metalr({ lr: 0.01, hyperLr: 0.1 }),
    epochs: 1,
    batchSize: 8,
    imageSize: [16, 16],
    seed: 0,
    report: (event) => {
      if (event.type === "epoch")
        console.log(`epoch ${event.epoch}: rates ${event.lr.length}, loss ${event.trainLoss.toFixed(2)}`);
    },
  });
  return `${run.classes.length} classes, ${run.reason} after step ${run.step}`;
}

const noise = (n: number, seed: number) => Uint8Array.from({ length: n }, (_, i) => (i * 7919 + i * i * seed) % 256);
console.log(await learn(await npz({ images: [24, 16, 16], labels: [24] })));

/** Stands in for the file that somebody picks: an .npz of numbers, as NumPy's savez writes it. */
async function npz({ images, labels }: { images: number[]; labels: number[] }): Promise<File> {
  const array = (shape: number[], data: Uint8Array) => {
    const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
    const header = new TextEncoder().encode(`${text.padEnd(117)}\n`);
    return Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length, 0, ...header, ...data);
  };
  const { zipSync } = await import("fflate");
  const zip = zipSync({
    "train_images.npy": array(images, noise(24 * 16 * 16, 3)),
    "train_labels.npy": array(
      labels,
      Uint8Array.from({ length: 24 }, (_, i) => i % 3),
    ),
  });
  return new File([new Uint8Array(zip)], "picked.npz");
}
