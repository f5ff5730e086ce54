/** @file The experiments of docs/EVIDENCE.md: their data, their command lines, and how the tables are called. */

export interface Experiment {
  readonly name: string;
  /** Above its table. */
  readonly title: string;
  /** Words behind `metalr compare`; DATA stands for the folder of the data. */
  readonly words: readonly string[];
}

const words = (text: string): readonly string[] => text.split(/\s+/).filter((w) => w !== "");

const shared = "-p DATA/weights/resnet20-12fca82f.th --image-size 32 --threads 1";
const four = "--methods finetune,finetune:schedule=cosine,metalr,metalr:variant=released";
const rest =
  "--methods finetune,lastLayer,lastGroups,linearProbe,layerDecay,discriminative,l2sp,autoRgn,ldog,metalr:direction=optimizer";
const heldOut = "--methods finetune,metalr,metalr:variant=released --meta-data split";
const pocus = "-d DATA/pocus/pocus_data_all.zip.001";
const medmnist = "-d DATA/medmnist/breastmnist.npz DATA/medmnist/retinamnist.npz";

export const experiments: readonly Experiment[] = [
  {
    name: "pocus-video",
    title: "Lung ultrasound (POCUS layout), folds by video, five seeds",
    words: words(`${pocus} ${shared} ${four} --seeds 5 -e 8`),
  },
  {
    name: "pocus-group",
    title: "The same frames, folds by group (patient or examination), five seeds",
    words: words(`${pocus} --groups-file DATA/pocus/attribution.csv.gz --by-group ${shared} ${four} --seeds 5 -e 8`),
  },
  {
    name: "medmnist",
    title: "BreastMNIST and RetinaMNIST, official parts, five seeds",
    words: words(`${medmnist} ${shared} ${four} --seeds 5 -e 20`),
  },
  {
    name: "pocus-video-rest",
    title: "All other methods on lung ultrasound by video, one seed",
    words: words(`${pocus} ${shared} ${rest} --seeds 1 -e 8`),
  },
  {
    name: "medmnist-rest",
    title: "All other methods on BreastMNIST and RetinaMNIST, one seed",
    words: words(`${medmnist} ${shared} ${rest} --seeds 1 -e 20`),
  },
  {
    name: "pocus-held-out",
    title: "Validation batches from held-out images: lung ultrasound by video, three seeds",
    words: words(`${pocus} ${shared} ${heldOut} --seeds 3 -e 8`),
  },
  {
    name: "medmnist-held-out",
    title: "Validation batches from held-out images: BreastMNIST and RetinaMNIST, five seeds",
    words: words(`${medmnist} ${shared} ${heldOut} --seeds 5 -e 20`),
  },
];
