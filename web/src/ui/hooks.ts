import { liveQuery } from "dexie";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Value } from "../sync/value";

/**
 * The answer of a question to the store, asked again whenever what it read has
 * changed in any tab. undefined until the first answer to these deps.
 */
export function useLive<T>(question: () => Promise<T>, deps: readonly unknown[]): T | undefined {
  const [answer, setAnswer] = useState<{ key: readonly unknown[]; value: T } | null>(null);
  const asked = useRef<readonly unknown[]>(deps);
  const key = sameDeps(asked.current, deps) ? asked.current : deps;
  asked.current = key;
  useEffect(() => {
    const s = liveQuery(question).subscribe({
      next: (value) => setAnswer({ key, value }),
      error: (e) => console.error("godwit: the local store does not answer", e),
    });
    return () => s.unsubscribe();
  }, [key]);
  return answer?.key === key ? answer.value : undefined;
}

/** Like useLive, but keeps the last answer while a new question is open. */
export function useLiveKept<T>(question: () => Promise<T>, deps: readonly unknown[]): T | undefined {
  const kept = useRef<T | undefined>(undefined);
  const answer = useLive(question, deps);
  if (answer !== undefined) kept.current = answer;
  return answer ?? kept.current;
}

function sameDeps(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((v, i) => Object.is(v, b[i]));
}

export function useValue<T>(v: Value<T>): T {
  const [, redraw] = useState(0);
  useEffect(() => {
    redraw((n) => n + 1); // it may have changed since it was drawn
    return v.watch(() => redraw((n) => n + 1));
  }, [v]);
  return v.get();
}

/** The time, redrawn every ms milliseconds; with 0 it stands still. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (ms === 0) return;
    setNow(Date.now());
    const t = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(t);
  }, [ms]);
  return now;
}
