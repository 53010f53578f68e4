// The rules by which what the server says enters the store. Every rule is a
// max-merge or a put under (chat, seq), so that hearing something twice, late
// or in another tab as well changes nothing. Callers run them inside one
// transaction over all tables.

import { DRAFT, draftId, type Chat, type MemberCursor, type Message, type Store } from "./db";

/** Rows looked at in one go; counting unread ones stops here, where the badge says 99+ anyway. */
const COUNT_MOST = 200;
const PREVIEW_CHARS = 200;

/** What REST says about a conversation. */
export interface RemoteChat {
  chatId: string;
  kind: "direct" | "group";
  name?: string;
  peerId?: string;
  lastSeq: number;
  readSeq: number;
  updatedAt: number;
  last?: Message;
}

function blank(chatId: string): Chat {
  const kind = chatId.startsWith("g") ? "group" : "direct";
  return { chatId, kind, name: "", peerId: "", lastSeq: 0, topSeq: 0, readSeq: 0, unread: 0, updatedAt: 0 };
}

/** The row of a conversation; one that is new here is made from what its id says. */
export async function chatOf(db: Store, chatId: string): Promise<Chat> {
  return (await db.chats.get(chatId)) ?? blank(chatId);
}

/**
 * Stores entries of one conversation in any order, and what follows from them.
 * Returns its row: an entry above topSeq then has a gap below it.
 */
export async function mergeMessages(db: Store, chatId: string, list: Message[]): Promise<Chat> {
  const chat = await chatOf(db, chatId);
  if (list.length === 0) return chat;
  for (const m of list) noteNewest(chat, m);
  if (chat.kind === "direct" && !chat.peerId) {
    const other = list.find((m) => m.sender !== db.user);
    if (other) await learnPeer(db, chat, other.sender, Math.min(...list.map((m) => m.seq)) - 1);
  }
  await db.messages.bulkPut(list);
  // Own messages that came back from the log need no sending any more.
  const sent = list.filter((m) => m.sender === db.user && m.clientMsgId).map((m) => m.clientMsgId!);
  if (sent.length > 0) await db.outbox.where("clientMsgId").anyOf(sent).delete();
  await raiseTop(db, chat, Math.min(...list.map((m) => m.seq)));
  await recount(db, chat);
  await db.chats.put(chat);
  return chat;
}

/** Moves topSeq up to where the stored entries end or have a gap. */
async function raiseTop(db: Store, chat: Chat, lowest: number): Promise<void> {
  if (chat.topSeq === 0) chat.topSeq = lowest - 1;
  for (;;) {
    const range = db.messages.where("[chatId+seq]").between([chat.chatId, chat.topSeq + 1], [chat.chatId, chat.topSeq + COUNT_MOST], true, true);
    const keys = await range.primaryKeys();
    for (const [, seq] of keys) {
      if (seq !== chat.topSeq + 1) return;
      chat.topSeq = seq;
    }
    if (keys.length < COUNT_MOST) return;
  }
}

/** What the newest entry means for the list of conversations. */
function noteNewest(chat: Chat, m: Message): void {
  if (m.seq < chat.lastSeq) return;
  chat.lastSeq = m.seq;
  chat.updatedAt = Math.max(chat.updatedAt, m.at);
  chat.preview = { seq: m.seq, sender: m.sender, text: m.text.slice(0, PREVIEW_CHARS), ...(m.kind ? { kind: m.kind } : {}) };
}

/**
 * Unread is what lies behind the read mark, without what this user wrote. It
 * always asks the store: a transaction does not survive an await on nothing.
 */
async function recount(db: Store, chat: Chat): Promise<void> {
  const span = Math.max(0, chat.lastSeq - chat.readSeq);
  const upTo = Math.min(chat.lastSeq, chat.readSeq + COUNT_MOST);
  const rows = await db.messages.where("[chatId+seq]").between([chat.chatId, chat.readSeq + 1], [chat.chatId, upTo], true, true).toArray();
  chat.unread = span - rows.filter((m) => m.sender === db.user).length;
}

/** The server stored an own message: it leaves the outbox and enters the log. */
export async function mergeAck(db: Store, clientMsgId: string, chatId: string, seq: number, at: number): Promise<void> {
  const row = await db.outbox.where("clientMsgId").equals(clientMsgId).first();
  if (!row) return;
  if (row.chatId.startsWith(DRAFT)) {
    const chat = await chatOf(db, chatId);
    await learnPeer(db, chat, row.chatId.slice(DRAFT.length), seq - 1);
    await db.chats.put(chat);
  }
  await mergeMessages(db, chatId, [{ chatId, seq, sender: db.user, text: row.text, at, clientMsgId }]);
}

/**
 * A direct chat turns out to be the one with peer: its draft becomes part of
 * it. What the draft was refused stands right after the entry numbered after.
 */
export async function learnPeer(db: Store, chat: Chat, peer: string, after: number): Promise<void> {
  chat.peerId = peer;
  const draft = draftId(peer);
  await db.chats.delete(draft);
  await db.outbox.where("chatId").equals(draft).modify((row) => {
    row.chatId = chat.chatId;
    if (row.failed !== undefined) row.after = after;
  });
}

/** A member's cursor moved. Our own means that another device has read. */
export async function mergeCursor(db: Store, c: MemberCursor): Promise<void> {
  const old = await db.cursors.get([c.chatId, c.userId]);
  const read = Math.max(c.read, old?.read ?? 0);
  const delivered = Math.max(c.delivered, read, old?.delivered ?? 0);
  if (old && old.read === read && old.delivered === delivered) return;
  await db.cursors.put({ chatId: c.chatId, userId: c.userId, delivered, read });
  if (c.userId === db.user) await mergeRead(db, c.chatId, read);
}

/** This user has read up to seq. Returns whether that is news. */
export async function mergeRead(db: Store, chatId: string, seq: number): Promise<boolean> {
  const chat = await db.chats.get(chatId);
  if (!chat || seq <= chat.readSeq) return false;
  chat.readSeq = seq;
  await recount(db, chat);
  await db.chats.put(chat);
  return true;
}

/** The server's row of the list of conversations. */
export async function mergeChat(db: Store, r: RemoteChat): Promise<void> {
  const chat = await chatOf(db, r.chatId);
  chat.kind = r.kind;
  if (r.name) chat.name = r.name;
  if (r.kind === "direct" && r.peerId && chat.peerId !== r.peerId) await learnPeer(db, chat, r.peerId, r.lastSeq);
  chat.updatedAt = Math.max(chat.updatedAt, r.updatedAt);
  chat.readSeq = Math.max(chat.readSeq, r.readSeq);
  if (r.last) noteNewest(chat, r.last);
  chat.lastSeq = Math.max(chat.lastSeq, r.lastSeq);
  await recount(db, chat);
  await db.chats.put(chat);
}
