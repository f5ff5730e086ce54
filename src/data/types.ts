/** @file What a data set is once it is open: images on demand, labels, groups, and the parts that its file knows. */

/** One image as stored, planar: data[(c·height + y)·width + x]. Volumes have a depth: data[((c·depth + z)·height + y)·width + x]. */
export interface RawImage {
  readonly channels: number;
  readonly depth?: number;
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array | Uint16Array | Float32Array;
}

/** Element type of stored pixels. */
export type PixelType = "uint8" | "uint16" | "float32";

/** Images of one shape, one after the other in memory; shared with threads where the machine allows it. */
export interface PixelBlock {
  readonly buffer: SharedArrayBuffer | ArrayBuffer;
  /** In bytes, a multiple of the element size. */
  readonly byteOffset: number;
  readonly type: PixelType;
  readonly count: number;
  readonly channels: number;
  readonly depth?: number;
  readonly height: number;
  readonly width: number;
  /** "planar": [channels, (depth,) height, width]; "interleaved": channels last. */
  readonly layout: "planar" | "interleaved";
}

/** Where a thread finds an image by itself. */
export type PixelSource =
  | { readonly kind: "blocks"; readonly blocks: readonly PixelBlock[] }
  | { readonly kind: "files"; readonly paths: readonly string[] };

/** How the file itself divides its images. Indices into the data set. */
export type Division =
  | { readonly kind: "folds"; readonly folds: readonly Uint32Array[] }
  | {
      readonly kind: "official";
      readonly train: Uint32Array;
      readonly validation: Uint32Array | null;
      readonly test: Uint32Array | null;
    }
  | { readonly kind: "none" };

/** Images whose every pixel or voxel has a class. Pictures are volumes of depth 1. */
export interface Segmentation {
  /** Shape [depth, height, width] of every image; known without reading its values. */
  readonly shapes: readonly (readonly [number, number, number])[];
  /** Values as stored, rescaled: float32 [channels, depth, height, width]. @throws {FileError | DataError} damaged */
  volume(index: number): Promise<SegmentationVolume>;
  /** Class of every voxel: [depth, height, width]. @throws {FileError | DataError} damaged; other classes than the data set's */
  label(index: number): Promise<SegmentationLabel>;
}

export interface SegmentationVolume extends RawImage {
  readonly depth: number;
  readonly data: Float32Array;
}

export interface SegmentationLabel {
  readonly depth: number;
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

export interface Dataset {
  /** For messages and run names: the file's name without folders. */
  readonly name: string;
  readonly count: number;
  /** Class names in order; "0", "1", … where the file has none. */
  readonly classes: readonly string[];
  /** Class of every image, 0 … classes − 1; all 0 where pixels have classes (`segmentation`). */
  readonly labels: Uint32Array;
  /** Present where the classes are those of pixels or voxels, background first. */
  readonly segmentation?: Segmentation;
  /** Patient, video or examination of every image, hashed or as in the groups file; null where unknown. */
  readonly groups: readonly string[] | null;
  readonly division: Division;
  /** Of an image without decoding all of them; height and width null where images differ in size. */
  readonly imageShape: {
    readonly channels: number;
    /** Of volumes; absent for images. */
    readonly depth?: number | null;
    readonly height: number | null;
    readonly width: number | null;
    /** Element type of most images; absent where it is not known before they are read. */
    readonly type?: PixelType;
  };
  /** SHA-256 (hex) over labels, division and pixels (or file sizes and names, for folders); goes into run.json. */
  readonly fingerprint: string;
  /** Things worth a line to the reader: what was repaired, assumed or skipped. */
  readonly notes: readonly string[];
  /** Name of one image for predictions and messages: a path, or "fold 2, frame 17". */
  imageName(index: number): string;
  /** Decodes, or takes from the cache. */
  image(index: number): Promise<RawImage>;
  /** Lets threads read the pixels without the thread that opened the data set; absent: `image` hands them over. */
  readonly pixels?: PixelSource;
  close(): Promise<void>;
}

/** Indices of one run, all disjoint except where a protocol says so (`released` validates on the training images). */
export interface Split {
  /** "fold-1" … for cross-validation, "run" otherwise. */
  readonly name: string;
  readonly train: Uint32Array;
  /** Where MetaLR's validation batches come from: `train` itself (--meta-data train) or a held-out part (--meta-data split). */
  readonly meta: Uint32Array;
  /** For --select validation; empty otherwise. */
  readonly validation: Uint32Array;
  /** Empty where the data have no test part. */
  readonly test: Uint32Array;
  /** Things worth a line to the reader: a class that a part lacks, groups on both sides. */
  readonly notes?: readonly string[];
}

/** Per channel, in units of [0, 1] pixels. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Area share and aspect ratio (width / height) of a random resized crop, each [low, high]. */
export interface CropRanges {
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
}

/** How volumes (or images) with labels become patches. */
export interface VolumeSpec {
  /** "z-score": mean 0 and deviation 1 in each volume and channel; "none": as stored. */
  readonly intensity: "z-score" | "none";
  /** Share of training patches that are centred on a voxel of a random class of the foreground. */
  readonly foreground: number;
  /** Probability of mirroring a training patch along each axis by itself. */
  readonly flip: number;
  /** Training patches of a volume in an epoch. */
  readonly perEpoch: number;
  /** Share of a window's length that neighbours have in common at least, where whole volumes are predicted. */
  readonly overlap: number;
}

/** The released transforms, as data so that a worker can run them and a run record can name them. */
export interface TransformSpec {
  /** Output [height, width]; of patches of volumes [depth, height, width]. */
  readonly size: readonly [number, number] | readonly [number, number, number];
  /** Channels of the network's input; grey is repeated. */
  readonly channels: number;
  /** How colour becomes grey where the network takes one channel; without it that is refused. */
  readonly colorToGrey?: "luma";
  /** One value per channel of the network, or a single one for all. */
  readonly normalization: Normalization;
  /** null: resize and normalise only (evaluation). */
  readonly augment: {
    /** Random resized crop of the resized image; null for none. */
    readonly crop: CropRanges | null;
    /** Probability of a horizontal flip. */
    readonly flip: number;
  } | null;
  /** Segmentation: patches of volumes in place of whole images. `normalization` then is 0 and 1. */
  readonly volume?: VolumeSpec;
}

export interface Batch {
  /** float32 [n, channels, (depth,) height, width], normalised. */
  readonly x: Float32Array;
  readonly shape: readonly number[];
  /** Class of each image; for segmentation of each position, [n, (depth,) height, width]. */
  readonly y: Uint32Array;
  /** Indices into the data set. */
  readonly indices: Uint32Array;
}
