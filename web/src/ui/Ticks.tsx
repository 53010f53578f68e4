import { clock, exactTime } from "./format";

export type TickState = "sending" | "stored" | "delivered" | "read" | "failed";

const WORDS: Record<TickState, string> = {
  sending: "Sending",
  stored: "Sent",
  delivered: "Delivered",
  read: "Read",
  failed: "Not sent",
};

const SHAPES: Record<TickState, string> = {
  sending: "M8 4.500V8l2.300 1.500M8 2.300a5.700 5.700 0 100 11.400A5.700 5.700 0 008 2.300z",
  stored: "M3.500 8.500L6.500 11.500 13 4.500",
  delivered: "M1.500 8.500L4.500 11.500 11 4.500M7.500 10.700l.9.8L15 4.500",
  read: "M1.500 8.500L4.500 11.500 11 4.500M7.500 10.700l.9.8L15 4.500",
  failed: "M8 4.500v4.200M8 11.300v.01M8 2.300a5.700 5.700 0 100 11.400A5.700 5.700 0 008 2.300z",
};

/** How far an own message has come. */
export function Ticks({ state }: { state: TickState }) {
  return (
    <span class={`ticks ticks-${state}`} role="img" aria-label={WORDS[state]} title={WORDS[state]}>
      <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.500" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
        <path d={SHAPES[state]} />
      </svg>
    </span>
  );
}

export function Stamp({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={exactTime(at)}>
      {clock(at)}
    </time>
  );
}
