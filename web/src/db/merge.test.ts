import "fake-indexeddb/auto";
import { liveQuery } from "dexie";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { draftId, Store, type Message } from "./db";
import { mergeAck, mergeChat, mergeCursor, mergeMessages, mergeRead } from "./merge";
import { findChat, holes, listChats, outgoingOf, pageOf, reachOf } from "./queries";

const CHAT = "d" + "a".repeat(24);
const GROUP = "g" + "a".repeat(24);
let db: Store;
let n = 0;

beforeEach(() => {
  db = new Store(`alice-${++n}`);
});
afterEach(() => db.delete());

const me = () => db.user;
const bob = (seq: number, text = `b${seq}`): Message => ({ chatId: CHAT, seq, sender: "bob", text, at: 1000 * seq });
const own = (seq: number, clientMsgId: string): Message => ({ chatId: CHAT, seq, sender: me(), text: clientMsgId, at: 1000 * seq, clientMsgId });
const merge = (...list: Message[]) => db.transaction("rw", db.tables, () => mergeMessages(db, CHAT, list));
const chat = async (id = CHAT) => (await db.chats.get(id))!;

async function write(chatId: string, clientMsgId: string): Promise<void> {
  await db.outbox.add({ chatId, clientMsgId, text: clientMsgId, at: 0, tab: "t" });
}

describe("messages", () => {
  test("arriving twice, late or in any order gives the same conversation", async () => {
    await merge(bob(1), bob(2));
    await merge(bob(2), bob(3));
    await merge(bob(3), bob(1));
    expect((await db.messages.toArray()).map((m) => m.seq)).toEqual([1, 2, 3]);
    expect(await chat()).toMatchObject({ lastSeq: 3, topSeq: 3, unread: 3, updatedAt: 3000, peerId: "bob", preview: { text: "b3" } });
  });

  test("a gap holds topSeq below it until it is filled", async () => {
    await merge(bob(1), bob(2));
    expect(await merge(bob(5), bob(6))).toMatchObject({ lastSeq: 6, topSeq: 2 });
    expect(await merge(bob(4))).toMatchObject({ topSeq: 2 });
    expect(await merge(bob(3))).toMatchObject({ topSeq: 6 });
  });

  test("a device that was never seen starts where the server starts", async () => {
    expect(await merge(bob(101), bob(102))).toMatchObject({ topSeq: 102, lastSeq: 102 });
    expect(await merge(bob(99), bob(100))).toMatchObject({ topSeq: 102 });
  });

  test("long runs behind a gap are walked in pages", async () => {
    await merge(bob(1));
    await merge(...Array.from({ length: 999 }, (_, i) => bob(i + 3)));
    expect(await merge(bob(2))).toMatchObject({ topSeq: 1001 });
  });

  test("what this user wrote is not unread", async () => {
    await merge(bob(1), own(2, "x"), bob(3));
    expect((await chat()).unread).toBe(2);
  });
});

describe("reading", () => {
  test("a read on another device clears the badge, and never comes back", async () => {
    await merge(bob(1), bob(2), bob(3));
    await mergeCursor(db, { chatId: CHAT, userId: me(), delivered: 2, read: 2 });
    expect(await chat()).toMatchObject({ readSeq: 2, unread: 1 });
    await mergeCursor(db, { chatId: CHAT, userId: me(), delivered: 1, read: 1 });
    expect(await chat()).toMatchObject({ readSeq: 2, unread: 1 });
  });

  test("marking read is news once", async () => {
    await merge(bob(1), bob(2));
    expect(await mergeRead(db, CHAT, 2)).toBe(true);
    expect(await mergeRead(db, CHAT, 2)).toBe(false);
    expect(await mergeRead(db, CHAT, 1)).toBe(false);
    expect((await chat()).unread).toBe(0);
  });

  test("cursors of others only grow, and read implies delivered", async () => {
    const bobs = { chatId: CHAT, userId: "bob" };
    await mergeCursor(db, { ...bobs, delivered: 3, read: 0 });
    await mergeCursor(db, { ...bobs, delivered: 5, read: 5 });
    await mergeCursor(db, { ...bobs, delivered: 4, read: 0 });
    expect(await db.cursors.toArray()).toEqual([{ ...bobs, delivered: 5, read: 5 }]);
  });

  test("in a group the slowest decides, and unknown members keep the ticks back", async () => {
    await mergeChat(db, { chatId: GROUP, kind: "group", name: "G", lastSeq: 9, readSeq: 0, updatedAt: 1 });
    const cursors = [
      { chatId: GROUP, userId: "bob", delivered: 9, read: 9 },
      { chatId: GROUP, userId: "carol", delivered: 7, read: 3 },
      { chatId: GROUP, userId: me(), delivered: 0, read: 0 },
    ];
    expect(reachOf(await chat(GROUP), me(), cursors)).toEqual({ delivered: 0, read: 0 });
    await db.chats.update(GROUP, { membersKnown: 1 });
    expect(reachOf(await chat(GROUP), me(), cursors)).toEqual({ delivered: 7, read: 3 });
  });
});

describe("sending", () => {
  test("an acknowledged message moves from the outbox into the log, once", async () => {
    await merge(bob(1));
    await write(CHAT, "x");
    const ack = () => db.transaction("rw", db.tables, () => mergeAck(db, "x", CHAT, 2, 2000));
    await ack();
    await ack();
    expect(await db.outbox.count()).toBe(0);
    expect((await db.messages.toArray()).map((m) => [m.seq, m.text])).toEqual([[1, "b1"], [2, "x"]]);
  });

  test("at every moment it is on the screen once", async () => {
    await write(CHAT, "x");
    const seen: string[][] = [];
    const watch = liveQuery(() => pageOf(db, CHAT, 1, Infinity)).subscribe((p) => {
      seen.push([...p.rows, ...p.outgoing].map((m) => m.text));
    });
    await vi.waitFor(() => expect(seen).toHaveLength(1));
    await db.transaction("rw", db.tables, () => mergeAck(db, "x", CHAT, 1, 1000));
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(1));
    watch.unsubscribe();
    for (const texts of seen) expect(texts).toEqual(["x"]);
  });

  test("its echo from the log does the same when the ack was lost", async () => {
    await write(CHAT, "x");
    await merge(own(1, "x"));
    expect(await db.outbox.count()).toBe(0);
  });

  test("somebody else's client_msg_id does not touch the outbox", async () => {
    await write(CHAT, "x");
    await merge({ ...bob(1), clientMsgId: "x" });
    expect(await db.outbox.count()).toBe(1);
  });

  test.each(["ack", "message", "list"])("a draft becomes real by an %s, with all that waits in it", async (by) => {
    await db.chats.put({ chatId: draftId("bob"), kind: "direct", name: "", peerId: "bob", lastSeq: 0, topSeq: 0, readSeq: 0, unread: 0, updatedAt: 1 });
    await write(draftId("bob"), "x");
    await write(draftId("bob"), "y");
    await db.transaction("rw", db.tables, async () => {
      if (by === "ack") await mergeAck(db, "x", CHAT, 1, 1000);
      if (by === "message") await mergeMessages(db, CHAT, [bob(1)]);
      if (by === "list") await mergeChat(db, { chatId: CHAT, kind: "direct", peerId: "bob", lastSeq: 0, readSeq: 0, updatedAt: 2 });
    });
    expect((await listChats(db, "", 10)).map((c) => c.chatId)).toEqual([CHAT]);
    expect((await outgoingOf(db, CHAT)).map((o) => o.text)).toEqual(by === "ack" ? ["y"] : ["x", "y"]);
    expect((await findChat(db, draftId("bob")))?.chatId).toBe(CHAT);
  });
});

test.each([["ack", 40], ["message", 39], ["list", 70]] as const)("what a draft was refused stands where the conversation was when an %s made it known", async (by, after) => {
  await write(draftId("bob"), "x");
  await db.outbox.add({ chatId: draftId("bob"), clientMsgId: "no", text: "no", at: 0, tab: "t", failed: "no", after: 0 });
  await db.transaction("rw", db.tables, async () => {
    if (by === "ack") await mergeAck(db, "x", CHAT, 41, 1000);
    if (by === "message") await mergeMessages(db, CHAT, [bob(40), bob(41)]);
    if (by === "list") await mergeChat(db, { chatId: CHAT, kind: "direct", peerId: "bob", lastSeq: 70, readSeq: 0, updatedAt: 2 });
  });
  expect((await outgoingOf(db, CHAT)).find((o) => o.failed)).toMatchObject({ after });
});

test("the list's row says what is newest, but is no entry of the local log", async () => {
  await mergeChat(db, { chatId: CHAT, kind: "direct", peerId: "bob", lastSeq: 70, readSeq: 60, updatedAt: 70_000, last: bob(70) });
  expect(await chat()).toMatchObject({ lastSeq: 70, topSeq: 0, unread: 10, preview: { text: "b70" } });
  await merge(bob(69), bob(70), bob(71));
  expect(await chat()).toMatchObject({ lastSeq: 71, topSeq: 71, unread: 11 });
});

test("a device keeps its name", async () => {
  const [a, b] = await Promise.all([db.deviceId(), db.deviceId()]);
  expect(a).toMatch(/^web-[a-z2-7]{16}$/);
  expect(b).toBe(a);
});

test("holes are what is missing between two numbers", () => {
  expect(holes([{ seq: 3 }, { seq: 4 }, { seq: 7 }], 1, 9)).toEqual([[1, 2], [5, 6], [8, 9]]);
  expect(holes([], 1, 0)).toEqual([]);
  expect(holes([{ seq: 1 }], 1, 1)).toEqual([]);
});
