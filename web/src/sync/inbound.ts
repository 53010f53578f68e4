// What arrives, on its way into the store: frames wait in a queue, everything
// that waited goes into one transaction, and only then is it acknowledged.

import type { Message, Store } from "../db/db";
import { mergeAck, mergeCursor, mergeMessages } from "../db/merge";
import type { AckSentFrame, FrameToClient, NewMessageFrame, StatusUpdateFrame } from "../wire.gen";
import { messageOf } from "./rows";

/** What became of a batch, after it was stored. */
export interface Stored {
  /** Conversation and the newest entry of the batch, without a gap below it. */
  delivered: [chatId: string, seq: number][];
  /** Conversations with a gap: the entries after the first number are missing up to the second. */
  gaps: [chatId: string, after: number, upTo: number][];
  /** client_msg_ids that the server has. */
  sent: string[];
  /** Conversations of which neither name nor peer is known. */
  strangers: string[];
  messages: Message[];
}

/** The most frames of one transaction: what a screen can wait for. */
const BATCH = 500;

export class Inbound {
  private queue: FrameToClient[] = [];
  private busy = false;

  constructor(
    private readonly db: Store,
    private readonly stored: (s: Stored) => void,
    private readonly synced: () => void,
    /** A batch could not be stored; what follows it must not be either. */
    private readonly failed: (e: unknown) => void,
  ) {}

  /** Takes a frame that changes the store; others are not for here. */
  push(f: FrameToClient): void {
    this.queue.push(f);
    if (!this.busy) void this.drain();
  }

  /** Drops what has not been stored: the server sends it again. */
  reset(): void {
    this.queue = [];
  }

  private async drain(): Promise<void> {
    this.busy = true;
    while (this.queue.length > 0) {
      const batch = this.queue.splice(0, BATCH);
      try {
        this.stored(await this.apply(batch));
      } catch (e) {
        // Not stored, so not acknowledged: the server says it again.
        this.reset();
        this.failed(e);
        break;
      }
      if (batch.some((f) => f.type === "synced")) this.synced();
    }
    this.busy = false;
  }

  private apply(batch: FrameToClient[]): Promise<Stored> {
    const { db } = this;
    const out: Stored = { delivered: [], gaps: [], sent: [], strangers: [], messages: [] };
    return db.transaction("rw", db.tables, async () => {
      for (const [chatId, frames] of byChat(batch)) {
        const list = frames.map(messageOf);
        const chat = await mergeMessages(db, chatId, list);
        const newest = Math.max(...list.map((m) => m.seq));
        if (newest <= chat.topSeq) out.delivered.push([chatId, newest]);
        else out.gaps.push([chatId, chat.topSeq, newest]);
        if (chat.kind === "direct" ? !chat.peerId : !chat.name) out.strangers.push(chatId);
        out.messages.push(...list);
        out.sent.push(...list.filter((m) => m.sender === db.user && m.clientMsgId).map((m) => m.clientMsgId!));
      }
      for (const f of batch) {
        if (f.type === "ack_sent") out.sent.push(await this.ack(f));
        else if (f.type === "status_update" && (f.status === "delivered" || f.status === "read")) await this.status(f);
        else if (f.type === "synced") await db.meta.put({ key: "cursor", value: f.cursor });
      }
      return out;
    });
  }

  private async ack(f: AckSentFrame): Promise<string> {
    await mergeAck(this.db, f.client_msg_id, f.chat_id, f.message_id, f.created_at);
    return f.client_msg_id;
  }

  private async status(f: StatusUpdateFrame): Promise<void> {
    const read = f.status === "read" ? f.message_id : 0;
    await mergeCursor(this.db, { chatId: f.chat_id, userId: f.user_id, delivered: f.message_id, read });
  }
}

function byChat(batch: FrameToClient[]): Map<string, NewMessageFrame[]> {
  const out = new Map<string, NewMessageFrame[]>();
  for (const f of batch) {
    if (f.type !== "new_message") continue;
    const list = out.get(f.chat_id);
    if (list) list.push(f);
    else out.set(f.chat_id, [f]);
  }
  return out;
}
