// Sends what waits in the outbox: in order within a conversation, again with
// the same client_msg_id until it is acknowledged or refused for good. The
// rows are shared by all tabs; what is on its way is each tab's own knowledge.
//
// One message per conversation is on its way at a time. The edge may refuse
// one ("too fast") after it took the next; waiting keeps the order anyway.

import { DRAFT, type Outgoing, type Store } from "../db/db";
import type { ErrorFrame, SendMessageFrame } from "../wire.gen";
import { utf8 } from "../wire/bytes";

/** Rows of another tab are left to it for this long; then it is taken for gone. */
const FOREIGN_MS = 5_000;
/** Without an answer for this long the message is sent again. */
const ANSWER_MS = 15_000;
const RETRY_MS = 1_000;
/** Rows looked at in one go. */
const LOOK = 500;

export interface Wire {
  live(): boolean;
  send(f: SendMessageFrame): void;
  limits(): { content_bytes: number; sends_in_flight: number };
  now(): number;
  /** A message was refused for good: for announcements, not for the screen. */
  failed(text: string, why: string): void;
}

export class Outbox {
  /** client_msg_id to the conversation and the time of sending. */
  private readonly onWay = new Map<string, { chatId: string; at: number }>();
  /** Conversations that the edge asked us to leave alone, and until when. */
  private readonly held = new Map<string, number>();
  private running: Promise<void> | null = null;
  private again = false;

  constructor(
    private readonly db: Store,
    private readonly tab: string,
    private readonly wire: Wire,
  ) {}

  /** Sends what may be sent. Called whenever that could have changed. */
  kick(): Promise<void> {
    this.again = true;
    return (this.running ??= this.run().finally(() => (this.running = null)));
  }

  private async run(): Promise<void> {
    while (this.again && this.wire.live()) {
      this.again = false;
      try {
        await this.pass();
      } catch (e) {
        if (this.db.isOpen()) throw e; // closed: the tab has left the account
      }
    }
  }

  private async pass(): Promise<void> {
    // Before the question to the store: a row that is answered meanwhile
    // leaves onWay after it left the store, so it is never seen as waiting.
    const blocked = new Set([...this.onWay.values()].map((w) => w.chatId));
    const rows = await this.db.outbox.orderBy("n").filter((r) => r.failed === undefined).limit(LOOK).toArray();
    const now = this.wire.now();
    for (const row of rows) {
      if (blocked.has(row.chatId)) continue;
      blocked.add(row.chatId);
      if ((this.held.get(row.chatId) ?? 0) > now) continue;
      if (row.tab !== this.tab && now - row.at < FOREIGN_MS) continue;
      if (this.onWay.size >= this.wire.limits().sends_in_flight) return;
      await this.sendRow(row, now);
    }
  }

  private async sendRow(row: Outgoing, now: number): Promise<void> {
    const content = utf8(row.text);
    const most = this.wire.limits().content_bytes;
    if (content.length > most) {
      // The edge would close the connection over it.
      await this.fail(row.clientMsgId, `The message is longer than ${most} bytes.`);
      this.again = true;
      return;
    }
    this.onWay.set(row.clientMsgId, { chatId: row.chatId, at: now });
    const where = row.chatId.startsWith(DRAFT) ? { to: row.chatId.slice(DRAFT.length) } : { chat_id: row.chatId };
    this.wire.send({ type: "send_message", ...where, content, client_msg_id: row.clientMsgId });
  }

  /** The message is stored: its row has left the outbox. */
  done(clientMsgId: string): void {
    if (this.onWay.delete(clientMsgId)) void this.kick();
  }

  /** The edge answered a message with an error. */
  async refused(f: ErrorFrame): Promise<void> {
    const sent = this.onWay.get(f.client_msg_id!);
    if (!sent) return;
    if (f.retryable) this.held.set(sent.chatId, this.wire.now() + (f.retry_after_ms ?? RETRY_MS));
    else await this.fail(f.client_msg_id!, f.advice ? `${f.message}; ${f.advice}` : f.message);
    this.onWay.delete(f.client_msg_id!);
    void this.kick();
  }

  /** Marks it with the reason, and with where it stood: later messages come below it. */
  private async fail(clientMsgId: string, why: string): Promise<void> {
    const { chats, outbox } = this.db;
    const row = await this.db.transaction("rw", outbox, chats, async () => {
      const row = await outbox.where("clientMsgId").equals(clientMsgId).first();
      if (!row) return;
      const after = (await chats.get(row.chatId))?.lastSeq ?? 0;
      await outbox.update(row.n, { failed: why, after });
      return row;
    });
    if (row) this.wire.failed(row.text, why);
  }

  /** Sends a refused message once more: under its own client_msg_id, as the newest. */
  async retry(clientMsgId: string): Promise<void> {
    const { chats, outbox } = this.db;
    const at = this.wire.now();
    await this.db.transaction("rw", outbox, chats, async () => {
      const row = await outbox.where("clientMsgId").equals(clientMsgId).first();
      if (row?.failed === undefined) return; // another tab was faster
      const { chatId, text } = row;
      await outbox.delete(row.n);
      await outbox.add({ clientMsgId, chatId, text, at, tab: this.tab });
      const chat = await chats.get(chatId);
      if (chat) await chats.update(chatId, { updatedAt: Math.max(chat.updatedAt, at) });
    });
    void this.kick();
  }

  /** The connection ended: nothing is on its way any more. */
  reset(): void {
    this.onWay.clear();
    this.held.clear();
  }

  /** To be called about once a second. */
  tick(): void {
    const now = this.wire.now();
    for (const [id, w] of this.onWay) if (now - w.at > ANSWER_MS) this.onWay.delete(id);
    void this.kick();
  }
}
