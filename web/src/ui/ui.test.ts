import { describe, expect, test } from "vitest";
import type { Message, Outgoing } from "../db/db";
import { Typing } from "../sync/typing";
import { bytesOf, dayName, initials, lengthNote, listTime, shortName } from "./format";
import { itemsOf, within } from "./items";
import { piecesOf } from "./RichText";
import { MOST, newer, older, opening, tail } from "./window";

describe("addresses in text", () => {
  const hrefs = (s: string) => piecesOf(s).flatMap((p) => p.href ?? []);
  test.each([
    ["see https://example.org.", ["https://example.org/"]],
    ["(https://example.org/a)", ["https://example.org/a"]],
    ["https://en.wikipedia.org/wiki/Godwit_(bird)", ["https://en.wikipedia.org/wiki/Godwit_(bird)"]],
    ["javascript:alert(1) data:text/html,x file:///etc", []],
    ["http://", []],
    ["https://a.example https://b.example", ["https://a.example/", "https://b.example/"]],
  ])("%s", (text, want) => {
    expect(hrefs(text)).toEqual(want);
    expect(piecesOf(text).map((p) => p.text).join("")).toBe(text);
  });
});

describe("the window", () => {
  test("opens at the end, or where reading stopped", () => {
    expect(opening(1, 0, 0)).toEqual({ lo: 1, hi: null });
    expect(opening(1, 500, 500)).toEqual({ lo: 451, hi: null });
    expect(opening(1, 490, 500)).toEqual({ lo: 451, hi: null });
    expect(opening(1, 400, 500)).toEqual({ lo: 381, hi: null });
    expect(opening(1, 100, 9000)).toEqual({ lo: 80, hi: 80 + MOST - 1 });
    expect(opening(1, 0, 9000)).toEqual({ lo: 1, hi: MOST });
  });

  test("never draws more than the most, however far one scrolls", () => {
    let s = tail(1, 10_000);
    for (let i = 0; i < 300; i++) {
      s = older(s, 1, 10_000);
      expect((s.hi ?? 10_000) - s.lo).toBeLessThan(MOST);
    }
    expect(s.lo).toBe(1);
    for (let i = 0; i < 300; i++) {
      s = newer(s, 10_000);
      expect((s.hi ?? 10_000) - s.lo).toBeLessThan(MOST + 50);
    }
    expect(s.hi).toBeNull();
  });
});

describe("items", () => {
  const day = 86_400_000;
  const base = new Date(2026, 4, 10, 12).getTime();
  const m = (seq: number, sender: string, at: number): Message => ({ chatId: "c", seq, sender, text: `t${seq}`, at });
  const shape = (rows: Message[], out: Outgoing[], lo: number, hi: number, unread = 0) =>
    itemsOf(rows, out, lo, hi, "me", unread).map((i) => (i.type === "bubble" ? `${i.follows ? "+" : ""}${i.text}` : i.type === "event" ? i.text.replace(/[\u2068\u2069]/g, "") : i.type === "hole" ? `hole ${i.lo}-${i.hi}` : i.type));

  test("days, groups, the unread mark and holes", () => {
    const rows = [m(3, "bob", base), m(4, "bob", base + 1000), m(5, "me", base + 2000), m(6, "bob", base + day), m(9, "bob", base + day + 1000)];
    expect(shape(rows, [], 1, 10, 6)).toEqual(["hole 1-2", "day", "t3", "+t4", "t5", "day", "unread", "t6", "hole 7-8", "day", "t9", "hole 10-10"]);
  });

  test("what the server wrote is no bubble, and nobody's words lean on it", () => {
    const event = { ...m(2, "me", base + 1000), kind: "group.created", text: "Weekend" };
    const rows = [m(1, "me", base), event, m(3, "me", base + 2000), { ...event, seq: 4, sender: "bob", kind: "group.later" }];
    expect(shape(rows, [], 1, 4)).toEqual(["day", "t1", "You created the group “Weekend”", "t3", "bob changed the group"]);
  });

  test("the unread mark waits for what is missing, and passes over own messages", () => {
    expect(shape([m(4, "bob", base)], [], 1, 4, 2)).toEqual(["hole 1-3", "day", "t4"]);
    expect(shape([m(2, "me", base), m(3, "bob", base)], [], 2, 3, 2)).toEqual(["day", "t2", "unread", "t3"]);
  });

  test("what waits stands at the end, and keeps its key when it is stored", () => {
    const out = { n: 1, clientMsgId: "x", chatId: "c", text: "w", at: base + 1000, tab: "t" };
    expect(shape([m(1, "me", base)], [out], 1, 1)).toEqual(["day", "t1", "+w"]);
    const waiting = itemsOf([], [out], 1, 0, "me", 0).at(-1)!;
    const stored = itemsOf([{ ...m(1, "me", base), clientMsgId: "x" }], [], 1, 1, "me", 0).at(-1)!;
    expect(stored.key).toBe(waiting.key);
  });

  test("a refused message stands where it was refused, a waiting one at the end", () => {
    const o = (n: number, more: Partial<Outgoing>): Outgoing => ({ n, clientMsgId: `w${n}`, chatId: "c", text: `w${n}`, at: base + 1500, tab: "t", ...more });
    const refused = o(1, { failed: "no", after: 2 });
    const rows = [m(2, "me", base), m(3, "me", base + 2000), m(4, "bob", base + 3000)];
    const out = [refused, o(2, {}), o(3, { failed: "no", after: 2 }), o(4, { failed: "from an older version" })];
    expect(shape(rows, out, 1, 4)).toEqual(["hole 1-1", "day", "t2", "+w1", "w3", "t3", "t4", "w2", "+w4"]);
    // In a hole it stands behind all of it, and moves in when that is filled.
    expect(shape([m(1, "bob", base), m(4, "bob", base)], [refused], 1, 4)).toEqual(["day", "t1", "hole 2-3", "day", "w1", "t4"]);
    expect(shape([m(1, "bob", base), m(2, "bob", base), m(3, "bob", base)], [refused], 1, 3)).toEqual(["day", "t1", "+t2", "w1", "t3"]);
  });

  test("words written yesterday and refused today do not bring yesterday back", () => {
    const late: Outgoing = { n: 1, clientMsgId: "w", chatId: "c", text: "w", at: base - day, tab: "t", failed: "no", after: 1 };
    expect(shape([m(1, "bob", base), m(2, "bob", base + 1000)], [late], 1, 2)).toEqual(["day", "t1", "w", "t2"]);
  });

  test("of the outbox, what stands within the window", () => {
    const o = (after?: number): Outgoing => ({ n: 1, clientMsgId: String(after), chatId: "c", text: "", at: base, tab: "t", ...(after === undefined ? {} : { failed: "no", after }) });
    const all = [o(0), o(9), o(10), o(20), o(21), o()];
    const ids = (lo: number, hi: number | null, first: number) => within(all, { lo, hi }, first).map((x) => x.clientMsgId);
    expect(ids(11, 20, 1)).toEqual(["10", "20"]);
    expect(ids(11, null, 1)).toEqual(["10", "20", "21", "undefined"]);
    expect(ids(11, null, 11), "what the server no longer has stands above").toEqual(["0", "9", "10", "20", "21", "undefined"]);
  });

  test("two people may use the same client_msg_id", () => {
    const keys = itemsOf([{ ...m(1, "me", base), clientMsgId: "x" }, { ...m(2, "bob", base), clientMsgId: "x" }], [], 1, 2, "me", 0).map((i) => i.key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("times and names", () => {
  const now = new Date(2026, 4, 10, 0, 5).getTime();
  test("days are calendar days", () => {
    expect(dayName(new Date(2026, 4, 9, 23, 59).getTime(), now)).toBe("Yesterday");
    expect(dayName(now, now)).toBe("Today");
    expect(listTime(new Date(2026, 4, 9, 23, 59).getTime(), now)).toBe("Yesterday");
    expect(listTime(0, now)).toBe("");
  });
  test("a long name leaves room for what stands behind it", () => {
    expect(shortName("bob")).toBe("\u2068bob\u2069");
    expect(shortName("🪿".repeat(40))).toBe(`\u2068${"🪿".repeat(17)}…\u2069`);
  });
  test("initials", () => {
    expect(["alice", "Émile Ōta", "ops@example.org", "🪿", "  "].map(initials)).toEqual(["A", "ÉŌ", "OE", "🪿", "?"]);
  });
});

test("typing is told at most every three seconds and shown for five", () => {
  let now = 10_000;
  const told: string[] = [];
  const t = new Typing((chat, state) => told.push(`${chat} ${state}`), () => now);
  for (let i = 0; i < 7; i++, now += 500) t.wrote("c");
  expect(told).toEqual(["c start", "c start"]);
  t.ceased("c", true);
  expect(told, "a message ends it by itself").toHaveLength(2);
  t.wrote("c");
  t.ceased("c", false);
  expect(told.at(-1)).toBe("c stop");

  t.heard("c", "bob", "start");
  expect(t.typists.get().get("c")).toEqual(["bob"]);
  now += 5000;
  t.tick();
  expect(t.typists.get().get("c")).toBeUndefined();
});

describe("the length of what is typed", () => {
  test("is told near the limit and over it, in bytes", () => {
    expect(lengthNote(58_000, 65_536)).toBeNull();
    expect(lengthNote(60_000, 65_536)).toEqual({ text: "60,000 of 65,536 bytes", over: false });
    expect(lengthNote(65_536, 65_536)).toEqual({ text: "65,536 of 65,536 bytes", over: false });
    expect(lengthNote(70_000, 65_536)).toEqual({ text: "70,000 of 65,536 bytes", over: true });
    expect(bytesOf("ä€😀")).toBe(2 + 3 + 4);
  });
});
