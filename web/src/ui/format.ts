// Times and names as people read them, in the language of the browser.

import { utf8 } from "../wire/bytes";

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const weekdayShort = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const short = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "2-digit", year: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function clock(at: number): string {
  return time.format(at);
}

export function exactTime(at: number): string {
  return exact.format(at);
}

/** A number that two moments share when they are on the same local day. */
export function dayOf(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Whole days from the day of at to the day of now. */
function daysAgo(at: number, now: number): number {
  return Math.round((dayOf(now) - dayOf(at)) / 86_400_000);
}

/** The words of a day separator. */
export function dayName(at: number, now: number): string {
  const ago = daysAgo(at, now);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  if (ago > 1 && ago < 7) return weekday.format(at);
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? dayMonth.format(at) : full.format(at);
}

/** The time in the list of conversations: as coarse as it is long ago. */
export function listTime(at: number, now: number): string {
  if (at === 0) return "";
  const ago = daysAgo(at, now);
  if (ago <= 0) return time.format(at);
  if (ago === 1) return "Yesterday";
  return ago < 7 ? weekdayShort.format(at) : short.format(at);
}

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[1] : ""].map((w) => [...(w ?? "")][0] ?? "");
  return letters.join("").toLocaleUpperCase() || "?";
}

/** One of n colours, always the same for a name. */
export function hueOf(name: string, n: number): number {
  let h = 2166136261;
  for (const c of name) h = Math.imul(h ^ c.codePointAt(0)!, 16777619);
  return (h >>> 0) % n;
}

/** What a content that is not text is called. */
export function kindName(kind: string | undefined): string {
  const names: Record<string, string> = { image: "Photo", video: "Video", voice: "Voice message", document: "Document" };
  return names[kind ?? ""] ?? "Message in a form this page cannot show";
}

/** What an entry says that the server itself wrote about what who did, "" for a message of somebody. */
export function eventText(kind: string | undefined, text: string, who: string): string {
  if (kind === "group.created") return `${who} created the group “${isolated(text)}”`;
  return kind?.startsWith("group.") ? `${who} changed the group` : "";
}

/** A name within a sentence: whichever way it is written, the sentence keeps its order. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}

const SHORT_CHARS = 18;

/** A name where something more important stands behind it. */
export function shortName(name: string): string {
  const chars = [...name];
  return isolated(chars.length > SHORT_CHARS ? chars.slice(0, SHORT_CHARS - 1).join("").trimEnd() + "…" : name);
}

/** Errors of the server come without a capital and a full stop. */
export function sentence(s: string): string {
  return s.charAt(0).toLocaleUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".");
}

/** Where the composer begins to count: a tenth below the limit. */
const COUNT_FROM = 0.9;

/** How long text is to the server, which counts bytes of UTF-8. */
export function bytesOf(text: string): number {
  return utf8(text).length;
}

/** What to say of text of so many bytes: nothing, until it nears the limit. */
export function lengthNote(bytes: number, most: number): { text: string; over: boolean } | null {
  if (bytes < most * COUNT_FROM) return null;
  const n = (v: number) => v.toLocaleString("en-US");
  return { text: `${n(bytes)} of ${n(most)} bytes`, over: bytes > most };
}
