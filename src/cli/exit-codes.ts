/** @file Exit codes of the program. */
export const exitCodes = { ok: 0, error: 1, usage: 2, interrupted: 130 } as const;
