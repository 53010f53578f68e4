// One signed-in user in one tab: the connection on one side, the store on the
// other, and the wishes of the screen. It decides what is sent when; how the
// store changes is the business of db/merge.ts.

import { liveQuery } from "dexie";
import { draftId, DRAFT, randomId, Store, type Message } from "../db/db";
import { chatOf, mergeRead } from "../db/merge";
import { Connection } from "../session/driver";
import type { Hello, Status } from "../session/machine";
import type { Format } from "../wire/codec";
import { CODE, LIMITS, type FrameToClient, type WelcomeFrame } from "../wire.gen";
import { History } from "./history";
import { Inbound, type Stored } from "./inbound";
import { Outbox } from "./outbox";
import { Rest } from "./rest";
import { Typing } from "./typing";
import { Value } from "./value";

/** Whose session it is, and how to get a new token for it. */
export interface Credentials {
  user: string;
  token(): string;
  /** Asks for a new token; false when that is not possible here. */
  renew(): Promise<boolean>;
}

const TICK_MS = 1_000;
/** So much of a message is read out. */
const SPOKEN_CHARS = 100;

export class Engine {
  readonly db: Store;
  readonly status = new Value<Status>({ phase: "idle" });
  readonly typing: Typing;
  readonly history: History;
  /** Messages of others as they arrive live: for announcements, not for the screen. */
  readonly arrived = new Value<Message | null>(null);
  /** What became of own messages that were refused: for announcements as well. */
  readonly refusals = new Value("");
  private readonly tab = randomId();
  private readonly rest: Rest;
  private readonly connection: Connection;
  private readonly inbound: Inbound;
  private readonly outbox: Outbox;
  private limits: WelcomeFrame["limits"] = { content_bytes: LIMITS.content, frame_bytes: LIMITS.content, sends_in_flight: 1 };
  private open: string | null = null; // the conversation on the screen
  private timer: ReturnType<typeof setInterval> | undefined;
  private watching: { unsubscribe(): void } | undefined;

  constructor(
    private readonly who: Credentials,
    socketUrl: string,
    format: Format,
  ) {
    this.db = new Store(who.user);
    this.rest = new Rest(who.token, who.renew);
    this.history = new History(this.db, this.rest);
    this.inbound = new Inbound(this.db, (s) => this.stored(s), () => this.synced(), (e) => this.unstored(e));
    this.connection = new Connection(socketUrl, format, {
      hello: () => this.hello(),
      frame: (f) => this.frame(f),
      status: (s) => this.moved(s),
    });
    this.outbox = new Outbox(this.db, this.tab, {
      live: () => this.connection.live,
      send: (f) => this.connection.send(f),
      limits: () => this.limits,
      now: Date.now,
      failed: (text, why) => this.refusals.set(`Not sent: ${why} — ${text.slice(0, SPOKEN_CHARS)}`),
    });
    this.typing = new Typing((chatId, state) => {
      if (!chatId.startsWith(DRAFT)) this.connection.send({ type: "typing", chat_id: chatId, state });
    }, Date.now);
  }

  start(): void {
    this.timer = setInterval(() => {
      this.typing.tick();
      this.outbox.tick();
    }, TICK_MS);
    // Other tabs write into the same outbox.
    this.watching = liveQuery(() => this.db.outbox.count()).subscribe(() => void this.outbox.kick());
    this.connection.start();
  }

  /** Ends everything this tab runs for the user; the store stays. */
  stop(): void {
    clearInterval(this.timer);
    this.watching?.unsubscribe();
    this.connection.stop();
    this.db.close();
  }

  retryNow(): void {
    this.connection.retryNow();
  }

  // What the connection says.

  private async hello(): Promise<Hello> {
    const [device, cursor] = await Promise.all([this.db.deviceId(), this.db.metaOf("cursor")]);
    return { token: this.who.token(), device, ...(typeof cursor === "number" ? { cursor } : {}) };
  }

  private moved(s: Status): void {
    if (s.phase === "waiting" || s.phase === "stopped") {
      this.outbox.reset();
      this.inbound.reset();
    }
    this.status.set(s);
    if (s.phase === "syncing") void this.outbox.kick();
    if (s.phase === "stopped" && s.problem?.code === CODE.token_expired) void this.renew();
  }

  /** The longest content in bytes that the server takes. */
  get mostContent(): number {
    return this.limits.content_bytes;
  }

  private async renew(): Promise<void> {
    if (await this.who.renew().catch(() => false)) this.connection.start();
  }

  private frame(f: FrameToClient): void {
    switch (f.type) {
      case "welcome":
        this.limits = f.limits;
        return;
      case "typing":
        if (f.user_id && f.user_id !== this.who.user) this.typing.heard(f.chat_id, f.user_id, f.state);
        return;
      case "error":
        if (f.client_msg_id) void this.outbox.refused(f);
        return;
      case "new_message":
        this.typing.heard(f.chat_id, f.sender_id, "stop");
    }
    this.inbound.push(f);
  }

  private stored(s: Stored): void {
    for (const [chat_id, message_id] of s.delivered) this.connection.send({ type: "ack_delivered", chat_id, message_id });
    for (const gap of s.gaps) void this.mend(...gap);
    for (const id of s.sent) this.outbox.done(id);
    if (s.strangers.length > 0) void this.history.refreshChats().catch(() => {});
    const news = s.messages.filter((m) => m.sender !== this.who.user).at(-1);
    if (news && this.status.get().phase === "live") this.arrived.set(news);
  }

  private unstored(e: unknown): void {
    console.error("godwit: a batch could not be stored", e);
    this.connection.restart("This browser could not store what arrived.");
  }

  /** Fetches what a push has jumped over; only then is it acknowledged. */
  private async mend(chatId: string, after: number, upTo: number): Promise<void> {
    try {
      await this.history.fill(chatId, after + 1, upTo);
    } catch {
      return; // not acknowledged: the server sends it again
    }
    this.connection.send({ type: "ack_delivered", chat_id: chatId, message_id: upTo });
  }

  private synced(): void {
    void this.catchUp().catch(() => {}); // the next connection tries again
  }

  /** After every connection: names, members, and reads that the server missed. */
  private async catchUp(): Promise<void> {
    const open = this.open;
    if (open) await this.history.refreshChat(open);
    for (const remote of await this.history.refreshChats()) {
      const local = await this.db.chats.get(remote.chatId);
      if (local && local.readSeq > remote.readSeq) this.tellRead(remote.chatId, local.readSeq);
    }
  }

  private tellRead(chat_id: string, seq: number): void {
    this.connection.send({ type: "ack_read", chat_id, last_read_message_id: seq });
  }

  // What the screen wishes.

  /** The id of the conversation with a user, which need not exist anywhere else yet. */
  async chatWith(user: string): Promise<string> {
    return this.db.transaction("rw", this.db.chats, async () => {
      const known = await this.db.chats.where("peerId").equals(user).first();
      if (known) return known.chatId;
      const chatId = draftId(user);
      await this.db.chats.put({ ...(await chatOf(this.db, chatId)), peerId: user, updatedAt: Date.now() });
      return chatId;
    });
  }

  async createGroup(name: string, members: string[]): Promise<string> {
    const chatId = await this.rest.createGroup(name, members);
    await this.db.transaction("rw", this.db.chats, async () => {
      const chat = await chatOf(this.db, chatId);
      await this.db.chats.put({ ...chat, name, updatedAt: Math.max(chat.updatedAt, Date.now()) });
    });
    return chatId;
  }

  /** A conversation comes on the screen, or with null goes. */
  show(chatId: string | null): void {
    this.open = chatId;
    if (chatId && this.connection.live) void this.history.refreshChat(chatId).catch(() => {});
  }

  async send(chatId: string, text: string): Promise<void> {
    this.typing.ceased(chatId, true);
    const at = Date.now();
    await this.db.transaction("rw", this.db.outbox, this.db.chats, async () => {
      const chat = await this.db.chats.get(chatId);
      // A draft may have become real since the screen was drawn.
      const real = chat ?? (await this.db.chats.where("peerId").equals(chatId.slice(DRAFT.length)).first());
      const id = real?.chatId ?? chatId;
      await this.db.outbox.add({ clientMsgId: randomId(), chatId: id, text, at, tab: this.tab });
      if (real) await this.db.chats.update(id, { updatedAt: Math.max(real.updatedAt, at) });
    });
    void this.outbox.kick();
  }

  /** Sends a refused message once more. */
  async retry(clientMsgId: string): Promise<void> {
    await this.outbox.retry(clientMsgId);
    this.refusals.set("Sending it once more.");
  }

  /** Forgets a refused message. */
  async discard(clientMsgId: string): Promise<void> {
    await this.db.outbox.where("clientMsgId").equals(clientMsgId).filter((row) => row.failed !== undefined).delete();
    this.refusals.set("Deleted.");
  }

  /** The person has seen everything up to seq. */
  async markRead(chatId: string, seq: number): Promise<void> {
    const { db } = this;
    const news = await db.transaction("rw", db.chats, db.messages, () => mergeRead(db, chatId, seq));
    if (news) this.tellRead(chatId, seq);
  }
}
