/** @file What differs between Node and the browser, behind small interfaces; readers see these and never a path of the system. */

/** Random access to the bytes of one file, of several parts joined, or of memory. */
export interface ByteSource {
  /** For messages: the path as the user wrote it. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, a fresh copy that the caller may keep.
   * @throws {FileError} when the range ends beyond `size`
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** One name in a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly kind: "file" | "folder";
}

/** Files as the library needs them. Paths use "/" and are as the user wrote them. */
export interface FileSystem {
  /** "file", "folder" or "missing". */
  kind(path: string): Promise<"file" | "folder" | "missing">;
  /** @throws {FileError} missing, a folder, not readable */
  open(path: string): Promise<ByteSource>;
  /** Entries sorted by name (code units), so that every machine sees the same order. */
  list(path: string): Promise<readonly FolderEntry[]>;
  readText(path: string): Promise<string>;
  makeFolder(path: string): Promise<void>;
  /** Writes to a temporary name beside the target, syncs, renames; on failure the old file stays. */
  writeAtomic(path: string, bytes: Uint8Array | string): Promise<void>;
  /** Appends whole lines or records and flushes them to the system; makes the file where it is missing. */
  append(path: string, content: Uint8Array | string): Promise<void>;
  remove(path: string): Promise<void>;
}

/** A decoded picture, interleaved by pixel: data[(y·width + x)·channels + c]. */
export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  /** 1 grey or 3 RGB; an alpha channel is dropped, a palette is expanded. */
  readonly channels: 1 | 3;
  readonly data: Uint8Array | Uint16Array;
}

export interface ImageDecoder {
  /** PNG, JPEG, WebP, TIFF, BMP or GIF (first frame). @throws {FileError} not an image, damaged */
  decode(bytes: Uint8Array, name: string): Promise<DecodedImage>;
}

/** What a module that runs in a thread exports: `createHandler` is called once, the handler for every message. */
export interface ThreadModule {
  createHandler(platform: Platform): ThreadHandler;
}

/** Answers one message; the buffers in `transfer` are moved to the asking side, not copied. */
export type ThreadHandler = (message: unknown) => Promise<ThreadAnswer>;

export interface ThreadAnswer {
  readonly value: unknown;
  readonly transfer: readonly ArrayBuffer[];
}

export interface Thread {
  /** False once it has failed or was closed; every call then fails. */
  readonly alive: boolean;
  /**
   * What the module's handler answers. Messages are cloned, `transfer` is moved, a SharedArrayBuffer is shared; answers may
   * overtake each other. Errors of ours arrive as the same class with the same message.
   */
  call(message: unknown, transfer?: readonly ArrayBuffer[]): Promise<unknown>;
  close(): Promise<void>;
}

/** Real threads, which go on while the calling one is blocked. They never keep the process alive by themselves. */
export interface Threads {
  /** How many can run at once on this machine. */
  readonly available: number;
  /** @param module URL of a compiled `ThreadModule`, as `new URL("./module.js", import.meta.url)` gives it */
  start(module: URL): Thread;
}

/** Everything of the machine that the library asks for. */
export interface Platform {
  readonly files: FileSystem;
  readonly images: ImageDecoder;
  /** One-shot DEFLATE (raw) of zip members and gzip streams, with the size that may come out at most. */
  inflate(bytes: Uint8Array, format: "deflate-raw" | "gzip", maxBytes: number, name: string): Promise<Uint8Array>;
  /** Absent where there are none: then everything runs in the calling thread. */
  readonly threads?: Threads;
  /**
   * Bytes of a file inside an installed npm package, such as a WebAssembly module:
   * "dcmjs-codecs/build/dcmjs-native-codecs.wasm". Absent where the platform cannot give any.
   */
  packageFile?(path: string): Promise<Uint8Array>;
  /** Who runs this, so that readers of a run folder can see whether its writer is still alive. Absent in browsers. */
  readonly process?: { readonly pid: number; readonly host: string };
}
