// Keeps what the person looks at where it is, while entries come and go above
// and below it; at the end it stays at the end.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

const NEAR_END_PX = 48;

export interface Scroll {
  box: { current: HTMLDivElement | null };
  atEnd(): boolean;
  toEnd(): void;
  /** Puts the element with this key near the top as soon as it is drawn. */
  toKey(key: string): void;
  /** Whether that is still to come: where one is now is not where one wants to be. */
  pending(): boolean;
  /** The person scrolls: no wish of ours is left. */
  release(): void;
  /** To be called on every scroll event. */
  note(): void;
}

/** version changes with every drawing that may move things. */
export function useScroll(version: unknown): Scroll {
  const box = useRef<HTMLDivElement>(null);
  const sticky = useRef(true);
  const anchor = useRef<{ key: string; top: number } | null>(null);
  const wish = useRef<string | null>(null);

  const find = (key: string) => box.current!.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  const remember = () => {
    const top = box.current!.getBoundingClientRect().top;
    for (const el of box.current!.querySelectorAll<HTMLElement>("[data-key]")) {
      const r = el.getBoundingClientRect();
      if (r.bottom <= top) continue;
      anchor.current = { key: el.dataset.key!, top: r.top - top };
      return;
    }
  };
  const restore = () => {
    const el = box.current;
    if (!el) return;
    const wanted = wish.current && find(wish.current);
    if (wanted) {
      wish.current = null;
      sticky.current = false;
      el.scrollTop += wanted.getBoundingClientRect().top - el.getBoundingClientRect().top - el.clientHeight / 5;
    } else if (sticky.current) {
      el.scrollTop = el.scrollHeight;
    } else if (anchor.current) {
      const kept = find(anchor.current.key);
      if (kept) el.scrollTop += kept.getBoundingClientRect().top - el.getBoundingClientRect().top - anchor.current.top;
    }
    remember();
  };
  const atEnd = () => {
    const el = box.current!;
    return el.scrollHeight - el.scrollTop - el.clientHeight < NEAR_END_PX;
  };

  useLayoutEffect(restore, [version]);
  useEffect(() => {
    // A keyboard that opens, a window that changes its size.
    const watch = new ResizeObserver(restore);
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);

  return {
    box,
    atEnd,
    toEnd: () => {
      sticky.current = true;
      wish.current = null;
      restore();
    },
    toKey: (key) => {
      wish.current = key;
    },
    pending: () => wish.current !== null,
    release: () => {
      wish.current = null;
    },
    note: () => {
      sticky.current = atEnd();
      remember();
    },
  };
}
