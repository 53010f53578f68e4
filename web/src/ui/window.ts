// Which part of a conversation is drawn. Because the log has no gaps in its
// numbers, a window is two numbers, and a conversation of any length costs the
// same. Pure.

export interface Span {
  lo: number;
  /** null: up to the newest, whatever comes. */
  hi: number | null;
}

/** Entries added at an edge, and the most that are drawn at once. */
export const STEP = 50;
export const MOST = 250;
/** Entries shown above the first unread one. */
const BEFORE_UNREAD = 20;

/** What is drawn when a conversation opens: its end, or where reading stopped. */
export function opening(first: number, read: number, last: number): Span {
  if (last - read > MOST - BEFORE_UNREAD) {
    const lo = Math.max(first, read - BEFORE_UNREAD);
    return { lo, hi: lo + MOST - 1 };
  }
  return { lo: Math.max(first, Math.min(last - STEP, read - BEFORE_UNREAD) + 1), hi: null };
}

export function older(s: Span, first: number, last: number): Span {
  const lo = Math.max(first, s.lo - STEP);
  const hi = s.hi ?? last;
  return hi - lo >= MOST ? { lo, hi: lo + MOST - 1 } : { lo, hi: s.hi };
}

export function newer(s: Span, last: number): Span {
  if (s.hi === null) return s;
  const hi = s.hi + STEP;
  return { lo: Math.max(s.lo, hi - MOST + 1), hi: hi >= last ? null : hi };
}

/** The end, with a page above it. */
export function tail(first: number, last: number): Span {
  return { lo: Math.max(first, last - STEP + 1), hi: null };
}
