/** @file What `metalr inspect` finds in a path. */

/** For programs, and for people. */
export interface Inspected {
  readonly facts: { readonly kind: string } & Readonly<Record<string, unknown>>;
  readonly text: string;
}
