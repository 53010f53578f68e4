import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { draftId, Store } from "../db/db";
import { textOf } from "../wire/bytes";
import type { ErrorFrame, SendMessageFrame } from "../wire.gen";
import { Outbox } from "./outbox";

let db: Store;
let n = 0;
let now = 0;
let live = true;
let sent: SendMessageFrame[] = [];
let told: string[] = [];

function outbox(tab: string, inFlight = 10): Outbox {
  return new Outbox(db, tab, {
    live: () => live,
    send: (f) => sent.push(f),
    limits: () => ({ content_bytes: 10, sends_in_flight: inFlight }),
    now: () => now,
    failed: (text, why) => told.push(`${text}: ${why}`),
  });
}

async function write(chatId: string, text: string, tab = "here"): Promise<void> {
  await db.outbox.add({ clientMsgId: text, chatId, text, at: now, tab });
}

/** What the server's answer does: the row leaves the store, then the outbox hears of it. */
async function acked(o: Outbox, id: string): Promise<void> {
  await db.outbox.where("clientMsgId").equals(id).delete();
  o.done(id);
  await o.kick();
  await settled();
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await db.outbox.count();
}

const texts = () => sent.map((f) => textOf(f.content));
const refusal = (id: string, more: Partial<ErrorFrame>): ErrorFrame => ({ type: "error", code: 1301, message: "no", client_msg_id: id, ...more });

beforeEach(() => {
  db = new Store(`outbox-${++n}`);
  [now, live, sent, told] = [100_000, true, [], []];
});
afterEach(() => db.delete());

test("one at a time and in order within a conversation, conversations side by side", async () => {
  const o = outbox("here");
  for (const text of ["a1", "a2", "b1"]) await write(text[0]!, text);
  await o.kick();
  expect(texts()).toEqual(["a1", "b1"]);
  await acked(o, "a1");
  expect(texts()).toEqual(["a1", "b1", "a2"]);
});

test("no more than the edge allows are on their way", async () => {
  const o = outbox("here", 2);
  for (const text of ["a", "b", "c"]) await write(text, text);
  await o.kick();
  expect(texts()).toEqual(["a", "b"]);
  await acked(o, "a");
  expect(texts()).toEqual(["a", "b", "c"]);
});

test("after a reconnect everything unanswered goes again under its own id", async () => {
  const o = outbox("here");
  await write("c", "a");
  await o.kick();
  live = false;
  o.reset();
  await write("c", "b");
  await o.kick();
  expect(texts()).toEqual(["a"]);
  live = true;
  await o.kick();
  await acked(o, "a");
  expect(sent.map((f) => f.client_msg_id)).toEqual(["a", "a", "b"]);
});

test("told to wait, it waits, and nothing overtakes", async () => {
  const o = outbox("here");
  await write("c", "a");
  await write("c", "b");
  await o.kick();
  await o.refused(refusal("a", { retryable: true, retry_after_ms: 3000 }));
  now += 2999;
  await o.kick();
  expect(texts()).toEqual(["a"]);
  now += 1;
  await o.kick();
  expect(texts()).toEqual(["a", "a"]);
});

test("refused for good: marked, and the next one goes", async () => {
  const o = outbox("here");
  await write("c", "a");
  await write("c", "b");
  await o.kick();
  await o.refused(refusal("a", { message: "not a member", advice: "ask to be added" }));
  await o.kick();
  await settled();
  expect(texts()).toEqual(["a", "b"]);
  expect((await db.outbox.where("clientMsgId").equals("a").first())?.failed).toBe("not a member; ask to be added");
  expect(told).toEqual(["a: not a member; ask to be added"]);
});

test("a refused message remembers what stood above it; sent once more it is the newest", async () => {
  const o = outbox("here");
  await db.chats.put({ chatId: "c", kind: "group", name: "", peerId: "", lastSeq: 7, topSeq: 7, readSeq: 0, unread: 0, updatedAt: 5 });
  await write("c", "a");
  await write("c", "b");
  await o.kick();
  await o.refused(refusal("a", { message: "not a member" }));
  expect(await db.outbox.where("clientMsgId").equals("a").first()).toMatchObject({ failed: "not a member", after: 7, at: 100_000 });

  now += 60_000;
  await Promise.all([o.retry("a"), o.retry("a")]);
  const rows = await db.outbox.orderBy("n").toArray();
  expect(rows.map((r) => r.clientMsgId), "once, and last").toEqual(["b", "a"]);
  expect(rows[1]).toMatchObject({ chatId: "c", text: "a", at: 160_000 });
  expect(rows[1]).not.toHaveProperty("failed");
  expect(rows[1]).not.toHaveProperty("after");
  expect((await db.chats.get("c"))!.updatedAt).toBe(160_000);
  await settled();
  await acked(o, "b");
  expect(texts()).toEqual(["a", "b", "a"]);
});

test("a message over the limit is refused here: the edge would close the connection", async () => {
  const o = outbox("here");
  await write("c", "eleven bytes");
  await write("c", "short");
  await o.kick();
  await settled();
  expect(texts()).toEqual(["short"]);
});

test("another tab's message is left to it for a while, then sent for it, in order", async () => {
  const o = outbox("here");
  await write("c", "theirs", "there");
  await write("c", "mine");
  await o.kick();
  expect(texts()).toEqual([]);
  now += 5000;
  await o.kick();
  await acked(o, "theirs");
  expect(texts()).toEqual(["theirs", "mine"]);
});

test("no answer for long: it asks again", async () => {
  const o = outbox("here");
  await write("c", "a");
  await o.kick();
  now += 15_001;
  o.tick();
  await o.kick();
  await settled();
  expect(texts()).toEqual(["a", "a"]);
});

test("a draft is addressed to the user, a conversation by its id", async () => {
  const o = outbox("here");
  await write(draftId("bob"), "a");
  await write("dchat", "b");
  await o.kick();
  expect(sent.map(({ to, chat_id }) => ({ to, chat_id }))).toEqual([{ to: "bob", chat_id: undefined }, { to: undefined, chat_id: "dchat" }]);
});
