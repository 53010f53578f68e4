// The local store: one IndexedDB database per user of this browser, shared by
// all tabs. What is in it is what the screen shows; the server only ever
// changes it. Rows are plain values; nobody keeps one across a transaction.

import Dexie, { type EntityTable, type Table } from "dexie";

/** A conversation. Its id is the server's, or "to:USER" until there is one. */
export interface Chat {
  chatId: string;
  kind: "direct" | "group";
  /** A group's name; empty when it is not known yet. */
  name: string;
  /** The other user of a direct chat; empty when it is not known yet. */
  peerId: string;
  /** The newest entry known to exist. */
  lastSeq: number;
  /** The newest entry stored here without a gap below it; 0 when none is. */
  topSeq: number;
  /** The oldest entry the server still has, once that is known. */
  firstSeq?: number;
  /** How far this user has read, on any device. */
  readSeq: number;
  unread: number;
  /** Milliseconds; orders the list. */
  updatedAt: number;
  /** The newest entry in short. */
  preview?: Preview;
  /** 1 when every member's cursor has been loaded: only then a group's ticks are certain. */
  membersKnown?: 1;
}

export interface Preview {
  seq: number;
  sender: string;
  text: string;
  kind?: string;
}

/** An entry of a conversation's log, as the server stored it. */
export interface Message {
  chatId: string;
  seq: number;
  sender: string;
  /** The content as text; bytes that are not text are kept as they are. */
  text: string;
  bytes?: Uint8Array;
  kind?: string;
  at: number;
  clientMsgId?: string;
  replyTo?: number;
}

/** How far a member has come. Both only grow; read implies delivered. */
export interface MemberCursor {
  chatId: string;
  userId: string;
  delivered: number;
  read: number;
}

/** A message on its way: written, not yet acknowledged. */
export interface Outgoing {
  /** Orders the outbox. A message sent once more gets a new one. */
  n: number;
  clientMsgId: string;
  chatId: string;
  text: string;
  at: number;
  /** The tab that wrote it; others help out only when it seems gone. */
  tab: string;
  /** Set when the server refused it for good: why. */
  failed?: string;
  /** The newest entry when it was refused: it stands right after that. */
  after?: number;
}

export interface MetaRow {
  key: "device" | "cursor" | "chatsLoaded";
  value: string | number;
}

export const DRAFT = "to:";

/** The id of the conversation with a user as long as the server has given none. */
export function draftId(user: string): string {
  return DRAFT + user;
}

export class Store extends Dexie {
  declare meta: EntityTable<MetaRow, "key">;
  declare chats: EntityTable<Chat, "chatId">;
  declare messages: Table<Message, [string, number]>;
  declare cursors: Table<MemberCursor, [string, string]>;
  declare outbox: EntityTable<Outgoing, "n">;

  constructor(readonly user: string) {
    super(databaseName(user));
    this.version(1).stores({
      meta: "key",
      chats: "chatId, peerId, updatedAt",
      messages: "[chatId+seq]",
      cursors: "[chatId+userId], chatId",
      outbox: "++n, &clientMsgId, chatId",
    });
  }

  async metaOf(key: MetaRow["key"]): Promise<string | number | undefined> {
    return (await this.meta.get(key))?.value;
  }

  /** The name of this browser's device for this user, made on first use. */
  async deviceId(): Promise<string> {
    return this.transaction("rw", this.meta, async () => {
      const known = await this.metaOf("device");
      if (typeof known === "string") return known;
      const device = "web-" + randomId();
      await this.meta.put({ key: "device", value: device });
      return device;
    });
  }
}

export function databaseName(user: string): string {
  return "godwit:" + user;
}

/** 16 random characters: 80 bits, enough that two never meet. */
export function randomId(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(b, (c) => "abcdefghijklmnopqrstuvwxyz234567"[c & 31]).join("");
}
