// From entries of the log to what stands on the screen: bubbles, the days
// between them, the mark where reading stopped, and places still to be filled.
// Pure.

import type { Message, Outgoing } from "../db/db";
import { holes } from "../db/queries";
import { dayOf, eventText, isolated } from "./format";
import type { Span } from "./window";

/** A bubble; seq 0 is on its way, or was refused. */
export interface Bubble {
  type: "bubble";
  key: string;
  seq: number;
  sender: string;
  text: string;
  kind?: string;
  at: number;
  /** It continues what the same person said just before. */
  follows: boolean;
  /** The next bubble continues it. */
  leads: boolean;
  outgoing?: Outgoing;
}

export type Item =
  | Bubble
  | { type: "event"; key: string; seq: number; text: string; at: number }
  | { type: "day"; key: string; at: number }
  | { type: "unread"; key: string }
  | { type: "hole"; key: string; lo: number; hi: number };

/** Messages of one person this close together stand together. */
const TOGETHER_MS = 5 * 60_000;

/** Behind every entry there will ever be. */
const END = Number.MAX_SAFE_INTEGER;

/** Where it stands among the entries: refused ones after what was the newest then, waiting ones at the end. */
function placeOf(o: Outgoing): number {
  return o.failed !== undefined && o.after !== undefined ? o.after + 0.5 : END;
}

/** What of the outbox stands within a span that begins at the first entry or later. */
export function within(outgoing: Outgoing[], span: Span, first: number): Outgoing[] {
  return outgoing.filter((o) => {
    const place = placeOf(o);
    return (place > span.lo - 1 || span.lo <= first) && (span.hi === null || place < span.hi + 1);
  });
}

export function itemsOf(rows: Message[], outgoing: Outgoing[], lo: number, hi: number, me: string, unreadFrom: number): Item[] {
  const gaps = holes(rows, lo, hi);
  // The mark stands before the first one of somebody else, once it is known which that is.
  const first = unreadFrom > 0 ? rows.find((m) => m.seq >= unreadFrom && m.sender !== me)?.seq : undefined;
  const marked = first !== undefined && !gaps.some(([from, to]) => to >= unreadFrom && from < first) ? first : 0;
  const placed = [...rows.map((m) => ({ place: m.seq, b: bubbleOf(m, me) })), ...outgoing.map((o) => ({ place: placeOf(o), b: waitingOf(o, me) }))];
  placed.sort((x, y) => x.place - y.place);
  const out: Item[] = [];
  let last: Bubble | null = null;
  let day = -Infinity; // what was written long before it was sent does not bring its day back
  for (const { place, b } of placed) {
    while (gaps.length > 0 && place < END && gaps[0]![0] < place) {
      out.push(holeOf(gaps.shift()!));
      last = null;
      day = -Infinity;
    }
    if (dayOf(b.at) > day) {
      day = dayOf(b.at);
      out.push({ type: "day", key: `day ${b.key}`, at: b.at });
      last = null;
    }
    if (marked > 0 && b.seq === marked) {
      out.push({ type: "unread", key: "unread" });
      last = null;
    }
    const event = eventText(b.kind, b.text, b.sender === me ? "You" : isolated(b.sender));
    if (event) {
      out.push({ type: "event", key: b.key, seq: b.seq, text: event, at: b.at });
      last = null;
      continue;
    }
    if (last && last.outgoing?.failed === undefined && last.sender === b.sender && b.at - last.at < TOGETHER_MS) b.follows = last.leads = true;
    out.push(b);
    last = b;
  }
  for (const gap of gaps) out.push(holeOf(gap));
  return out;
}

function holeOf([lo, hi]: [number, number]): Item {
  return { type: "hole", key: `hole ${hi}`, lo, hi };
}

/** An own message keeps its key when it is stored, so it does not flicker. */
function bubbleOf(m: Message, me: string): Bubble {
  const key = m.sender === me && m.clientMsgId ? m.clientMsgId : String(m.seq);
  return { type: "bubble", key, seq: m.seq, sender: m.sender, text: m.text, at: m.at, follows: false, leads: false, ...(m.kind || m.bytes ? { kind: m.kind ?? "bytes" } : {}) };
}

function waitingOf(o: Outgoing, me: string): Bubble {
  return { type: "bubble", key: o.clientMsgId, seq: 0, sender: me, text: o.text, at: o.at, follows: false, leads: false, outgoing: o };
}
