// The truth of a small server in memory: conversations, cursors, change
// counters. As much of the protocol's meaning as the page can notice.

import { createHash, randomBytes } from "node:crypto";
import { chatToText } from "../../src/wire/bytes";
import type { FrameToClient, NewMessageFrame } from "../../src/wire.gen";

export interface Chat {
  id: string;
  kind: "direct" | "group";
  name: string;
  members: string[];
  log: NewMessageFrame[];
  cursors: Map<string, { delivered: number; read: number }>;
}

/** What an operation did: its answer, and frames for other people's sessions. */
export interface Outcome {
  reply?: FrameToClient;
  push: { user: string; frame: FrameToClient }[];
}

function idOf(kind: "d" | "g", seed: Buffer): string {
  return chatToText(Uint8Array.from([kind.charCodeAt(0), ...seed.subarray(0, 15)]));
}

export function directId(a: string, b: string): string {
  const [x, y] = [a, b].map((s) => Buffer.from(s)).sort(Buffer.compare) as [Buffer, Buffer];
  return idOf("d", createHash("sha256").update(Buffer.from([x.length])).update(x).update(y).digest());
}

export class State {
  readonly chats = new Map<string, Chat>();
  /** Per user: conversation to the stamp of its last change. */
  private readonly changes = new Map<string, Map<string, number>>();
  private readonly counters = new Map<string, number>();
  /** Per user and device: conversation to what the device has. */
  private readonly devices = new Map<string, Map<string, number>>();
  private readonly known = new Map<string, NewMessageFrame>();

  counter(user: string): number {
    return this.counters.get(user) ?? 0;
  }

  private touch(chat: Chat): void {
    for (const user of chat.members) {
      const stamp = this.counter(user) + 1;
      this.counters.set(user, stamp);
      const rows = this.changes.get(user) ?? new Map<string, number>();
      rows.set(chat.id, stamp);
      this.changes.set(user, rows);
    }
  }

  direct(a: string, b: string): Chat {
    return this.chats.get(directId(a, b)) ?? this.create(directId(a, b), "direct", "", [a, b]);
  }

  group(name: string, members: string[]): Chat {
    return this.create(idOf("g", randomBytes(15)), "group", name, [...new Set(members)]);
  }

  private create(id: string, kind: Chat["kind"], name: string, members: string[]): Chat {
    const cursors = new Map(members.map((m) => [m, { delivered: 0, read: 0 }]));
    const chat: Chat = { id, kind, name, members, log: [], cursors };
    this.chats.set(id, chat);
    this.touch(chat);
    return chat;
  }

  /** Stores a message once per (sender, client_msg_id). */
  append(chat: Chat, sender: string, content: Uint8Array, clientMsgId: string, kind?: string): { entry: NewMessageFrame; fresh: boolean } {
    const key = JSON.stringify([chat.id, sender, clientMsgId]);
    const old = this.known.get(key);
    if (old) return { entry: old, fresh: false };
    const entry: NewMessageFrame = {
      type: "new_message",
      chat_id: chat.id,
      message_id: chat.log.length + 1,
      sender_id: sender,
      content,
      created_at: Date.now(),
      client_msg_id: clientMsgId,
      ...(kind ? { kind } : {}),
    };
    chat.log.push(entry);
    this.known.set(key, entry);
    this.touch(chat);
    return { entry, fresh: true };
  }

  /** A member's cursor moves up to seq; false when it was there already. */
  receipt(chat: Chat, user: string, device: string, seq: number, read: boolean): boolean {
    const c = chat.cursors.get(user)!;
    const to = Math.min(seq, chat.log.length);
    const has = this.devices.get(`${user}\n${device}`) ?? new Map<string, number>();
    has.set(chat.id, Math.max(has.get(chat.id) ?? 0, to));
    this.devices.set(`${user}\n${device}`, has);
    if (to <= (read ? c.read : c.delivered)) return false;
    c.delivered = Math.max(c.delivered, to);
    if (read) c.read = to;
    this.touch(chat);
    return true;
  }

  /** What a device missed since its cursor, as the frames that tell it. */
  missed(user: string, device: string, cursor: number | undefined): FrameToClient[] {
    const out: FrameToClient[] = [];
    const has = this.devices.get(`${user}\n${device}`);
    for (const [id, stamp] of this.changes.get(user) ?? []) {
      if (cursor !== undefined && stamp <= cursor) continue;
      const chat = this.chats.get(id)!;
      const from = has?.get(id) ?? Math.max(0, chat.log.length - 50);
      out.push(...chat.log.slice(from));
      for (const [member, c] of chat.cursors) {
        const at = { type: "status_update" as const, chat_id: id, user_id: member };
        if (c.delivered > 0) out.push({ ...at, message_id: c.delivered, status: "delivered" });
        if (c.read > 0) out.push({ ...at, message_id: c.read, status: "read" });
      }
    }
    return out;
  }

  chatsOf(user: string): Chat[] {
    const at = (c: Chat) => c.log.at(-1)?.created_at ?? 0;
    return [...this.chats.values()].filter((c) => c.members.includes(user)).sort((a, b) => at(b) - at(a));
  }
}
