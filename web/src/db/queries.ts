// What the screen asks of the store. Every question is bounded by what fits on
// a screen or two, never by the length of a conversation.

import { DRAFT, type Chat, type MemberCursor, type Message, type Outgoing, type Store } from "./db";

/** The newest conversations first; with words, those whose name holds them. */
export async function listChats(db: Store, words: string, limit: number): Promise<Chat[]> {
  const all = db.chats.orderBy("updatedAt").reverse();
  const find = words.trim().toLocaleLowerCase();
  if (!find) return all.limit(limit).toArray();
  return all
    .filter((c) => titleOf(c).toLocaleLowerCase().includes(find))
    .limit(limit)
    .toArray();
}

/** What a conversation is called on the screen. */
export function titleOf(c: Chat): string {
  return c.kind === "direct" ? c.peerId || "…" : c.name || "Group";
}

/** A conversation by its id; a draft that has become real answers as that. */
export async function findChat(db: Store, chatId: string): Promise<Chat | null> {
  const row = await db.chats.get(chatId);
  if (row || !chatId.startsWith(DRAFT)) return row ?? null;
  return (await db.chats.where("peerId").equals(chatId.slice(DRAFT.length)).first()) ?? null;
}

/** A part of a conversation as it stands on the screen. */
export interface Page {
  /** The stored entries, oldest first. */
  rows: Message[];
  /** What waits to be sent, oldest first. */
  outgoing: Outgoing[];
}

/** The entries lo to hi, and what waits: read at one moment, so that a message is always in one of the two. */
export function pageOf(db: Store, chatId: string, lo: number, hi: number): Promise<Page> {
  return db.transaction("r", db.messages, db.outbox, async () => ({
    rows: await db.messages.where("[chatId+seq]").between([chatId, lo], [chatId, hi], true, true).toArray(),
    outgoing: await outgoingOf(db, chatId),
  }));
}

/** What waits to be sent in a conversation, oldest first. */
export async function outgoingOf(db: Store, chatId: string): Promise<Outgoing[]> {
  return db.outbox.where("chatId").equals(chatId).sortBy("n");
}

/** How far the other members have come. */
export async function cursorsOf(db: Store, chatId: string): Promise<MemberCursor[]> {
  return db.cursors.where("chatId").equals(chatId).toArray();
}

/** Up to where all other members have received and read. */
export interface Reach {
  delivered: number;
  read: number;
}

/** The slowest of the other members decides; of members not known, nothing is claimed. */
export function reachOf(chat: Chat, me: string, cursors: MemberCursor[]): Reach {
  const others = cursors.filter((c) => c.userId !== me);
  if (others.length === 0 || (chat.kind === "group" && !chat.membersKnown)) return { delivered: 0, read: 0 };
  return {
    delivered: Math.min(...others.map((c) => c.delivered)),
    read: Math.min(...others.map((c) => c.read)),
  };
}

/** The first and last entry of every hole between lo and hi, given what is there. */
export function holes(rows: { seq: number }[], lo: number, hi: number): [number, number][] {
  const out: [number, number][] = [];
  let next = lo;
  for (const { seq } of rows) {
    if (seq > next) out.push([next, seq - 1]);
    next = seq + 1;
  }
  if (next <= hi) out.push([next, hi]);
  return out;
}
