/** @file Decoders of JPEG, JPEG-LS and JPEG 2000 frames: the WebAssembly of dcmjs-codecs behind an interface of ours. */
import { InternalError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import type { PixelCodec } from "./_syntaxes.js";

/** Compressed frames that need the WebAssembly; RLE is ours. */
export type CodecName = Exclude<PixelCodec, "none" | "rle">;

export interface FrameLayout {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: number;
  /** 8 or 16. */
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly pixelRepresentation: 0 | 1;
}

export interface DecodedFrame extends FrameLayout {
  /** Little-endian, interleaved by pixel; colours as the codestream holds them (JPEG stays YBR). */
  readonly bytes: Uint8Array;
}

export interface Codecs {
  /** @throws {Error} with a message of the decoder, never with content of the file; the decoder recovers by itself */
  decode(codec: CodecName, frame: Uint8Array, layout: FrameLayout): Promise<DecodedFrame>;
}

/** Where a platform finds the module: inside its npm package. */
export const codecsFile = "dcmjs-codecs/build/dcmjs-native-codecs.wasm";

const decoders = {
  jpeg: "DecodeJpeg",
  "jpeg-ls": "DecodeJpegLs",
  "jpeg-2000": "DecodeJpeg2000",
  htj2k: "DecodeHtJpeg2000",
} as const satisfies Record<CodecName, string>;

const getters = [
  "GetColumns",
  "GetRows",
  "GetBitsAllocated",
  "GetSamplesPerPixel",
  "GetPlanarConfiguration",
  "GetEncodedBuffer",
  "GetDecodedBuffer",
  "GetDecodedBufferSize",
  "ReleaseCodecsContext",
  "ReleaseDecoderParameters",
] as const;
const setters = [
  "SetColumns",
  "SetRows",
  "SetBitsAllocated",
  "SetBitsStored",
  "SetSamplesPerPixel",
  "SetPixelRepresentation",
  "SetPlanarConfiguration",
  "SetPhotometricInterpretation",
  "SetEncodedBufferSize",
  "SetConvertColorspaceToRgb",
  ...Object.values(decoders),
] as const;
const makers = ["CreateCodecsContext", "CreateDecoderParameters", "_initialize"] as const;

/** The exports that are used: plain numbers in and out, addresses included. */
type Native = Record<(typeof makers)[number], () => number> &
  Record<(typeof getters)[number], (context: number) => number> &
  Record<(typeof setters)[number], (context: number, value: number) => void> & { memory: WebAssembly.Memory };

/** The module's own numbering: colours are never converted, so any three-sample name does. */
const photometricNumber = (samplesPerPixel: number): number => (samplesPerPixel === 1 ? 1 : 3);

/** What the module imports. It logs nothing, has no environment and no files; its exceptions become JavaScript's. */
function imports(memory: () => WebAssembly.Memory): WebAssembly.Imports {
  const text = (at: number, length: number): string =>
    new TextDecoder("latin1").decode(new Uint8Array(memory().buffer, at, length).slice());
  const nothing = (): number => 0;
  return {
    env: {
      onCodecsException: (at: number, length: number): void => {
        throw new Error(text(at, length));
      },
      onCodecsInfo: nothing,
      onCodecsTrace: nothing,
      emscripten_notify_memory_growth: nothing,
    },
    wasi_snapshot_preview1: {
      proc_exit: (code: number): void => {
        throw new Error(`the decoder stopped with ${code}`);
      },
      clock_time_get: nothing,
      fd_close: nothing,
      fd_seek: nothing,
      environ_get: nothing,
      environ_sizes_get: (count: number, size: number): number => {
        const view = new DataView(memory().buffer);
        view.setUint32(count, 0, true);
        view.setUint32(size, 0, true);
        return 0;
      },
      fd_write: (_file: number, vectors: number, count: number, written: number): number => {
        const view = new DataView(memory().buffer);
        let bytes = 0;
        for (let i = 0; i < count; i++) bytes += view.getUint32(vectors + 8 * i + 4, true);
        view.setUint32(written, bytes, true);
        return 0;
      },
    },
  };
}

async function instantiate(module: WebAssembly.Module): Promise<Native> {
  let memory: WebAssembly.Memory | undefined;
  const instance = await WebAssembly.instantiate(
    module,
    imports(() => {
      if (memory === undefined) throw new InternalError("the decoders ran before their memory was there");
      return memory;
    }),
  );
  const { exports } = instance;
  for (const name of [...makers, ...getters, ...setters]) {
    if (typeof exports[name] !== "function") throw new InternalError(`the decoders lack ${name}`);
  }
  if (!(exports["memory"] instanceof WebAssembly.Memory)) throw new InternalError("the decoders lack their memory");
  memory = exports["memory"];
  const native = exports as unknown as Native; // the loop above has found every function of it
  native._initialize();
  return native;
}

/** Samples of one colour together → interleaved by pixel. */
function interleave(planar: Uint8Array, samples: number, bytesPerSample: number): Uint8Array {
  const out = new Uint8Array(planar.length);
  const pixels = planar.length / (samples * bytesPerSample);
  let at = 0;
  for (let p = 0; p < pixels; p++) {
    for (let s = 0; s < samples; s++) {
      for (let b = 0; b < bytesPerSample; b++) out[at++] = planar[(s * pixels + p) * bytesPerSample + b]!; // inside planar
    }
  }
  return out;
}

function run(native: Native, codec: CodecName, frame: Uint8Array, layout: FrameLayout): DecodedFrame {
  const context = native.CreateCodecsContext();
  native.SetColumns(context, layout.columns);
  native.SetRows(context, layout.rows);
  native.SetBitsAllocated(context, layout.bitsAllocated);
  native.SetBitsStored(context, layout.bitsStored);
  native.SetSamplesPerPixel(context, layout.samplesPerPixel);
  native.SetPixelRepresentation(context, layout.pixelRepresentation);
  native.SetPlanarConfiguration(context, 0);
  native.SetPhotometricInterpretation(context, photometricNumber(layout.samplesPerPixel));
  native.SetEncodedBufferSize(context, frame.length);
  new Uint8Array(native.memory.buffer).set(frame, native.GetEncodedBuffer(context));
  const parameters = native.CreateDecoderParameters();
  native.SetConvertColorspaceToRgb(parameters, 0);
  native[decoders[codec]](context, parameters);
  const size = native.GetDecodedBufferSize(context);
  let bytes = new Uint8Array(native.memory.buffer, native.GetDecodedBuffer(context), size).slice();
  const columns = native.GetColumns(context);
  const rows = native.GetRows(context);
  const samplesPerPixel = native.GetSamplesPerPixel(context);
  const bitsAllocated = native.GetBitsAllocated(context);
  if (native.GetPlanarConfiguration(context) === 1 && samplesPerPixel > 1) {
    bytes = new Uint8Array(interleave(bytes, samplesPerPixel, bitsAllocated / 8));
  }
  native.ReleaseDecoderParameters(parameters);
  native.ReleaseCodecsContext(context);
  return { ...layout, columns, rows, samplesPerPixel, bitsAllocated, bytes };
}

/**
 * Compiles the decoders once; an instance that threw is replaced, for its memory may be in disorder.
 * @param wasm bytes of `codecsFile`
 */
export async function loadCodecs(wasm: Uint8Array): Promise<Codecs> {
  const module = await WebAssembly.compile(new Uint8Array(wasm)); // a copy: the type wants its own buffer
  let native: Promise<Native> | undefined;
  return {
    async decode(codec, frame, layout) {
      native ??= instantiate(module);
      const ready = native;
      try {
        return run(await ready, codec, frame, layout);
      } catch (cause) {
        if (native === ready) native = undefined; // the next frame gets a new one
        throw cause;
      }
    },
  };
}

/** The decoders of a platform, loaded once and only when asked for; undefined where the platform cannot give them. */
export function codecsOf(platform: Pick<Platform, "packageFile">): (() => Promise<Codecs>) | undefined {
  const { packageFile } = platform;
  if (packageFile === undefined) return undefined;
  let loaded: Promise<Codecs> | undefined;
  return () => {
    loaded ??= packageFile(codecsFile).then(loadCodecs);
    return loaded;
  };
}
