/** How long to wait before trying again, in milliseconds. */
export const BACKOFF = { first: 500, most: 30_000 } as const;

/**
 * The wait before attempt n (0 is the first repetition): it doubles up to
 * BACKOFF.most, and a random half keeps a million clients from coming back in
 * the same instant. random is in [0, 1).
 */
export function backoff(n: number, random: number): number {
  const full = Math.min(BACKOFF.most, BACKOFF.first * 2 ** Math.min(n, 16));
  return Math.round(full / 2 + (full / 2) * random);
}
