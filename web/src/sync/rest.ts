// The REST interface, typed. Its answers are turned into rows of the store
// here, so that nothing else knows how they are spelled.

import type { RemoteChat } from "../db/merge";
import type { MemberCursor, Message } from "../db/db";
import { fromBase64, utf8 } from "../wire/bytes";
import { messageOf } from "./rows";

/** What GET /v1/server tells. */
export interface ServerInfo {
  name: string;
  version: string;
  dev_sign_in: boolean;
}

/** A numbered problem (RFC 9457), or code 0 when the server was not reached. */
export class RestError extends Error {
  constructor(
    readonly code: number,
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

interface MessageJSON {
  chat_id: string;
  message_id: number;
  sender_id: string;
  content?: string;
  content_b64?: string;
  kind?: string;
  created_at: number;
  client_msg_id?: string;
  reply_to?: number;
}

interface ChatJSON {
  chat_id: string;
  kind: "direct" | "group";
  name?: string;
  peer_id?: string;
  last_message_id: number;
  last_read_message_id: number;
  updated_at: number;
  last_message?: MessageJSON;
}

export interface HistoryPage {
  /** In the order asked for. */
  messages: Message[];
  /** Whether there is more in that direction. */
  more: boolean;
  /** The members, with the page that has the newest entry. */
  cursors?: MemberCursor[];
}

const TIMEOUT_MS = 10_000;

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  let res: Response;
  try {
    res = await fetch(path, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new RestError(0, 0, "The server cannot be reached.");
  }
  const body = (await res.json().catch(() => null)) as (T & { code?: number; title?: string; detail?: string; advice?: string }) | null;
  if (res.ok && body) return body;
  throw new RestError(body?.code ?? 0, res.status, [body?.title, body?.detail, body?.advice].filter(Boolean).join("; ") || `HTTP ${res.status}`);
}

export function serverInfo(): Promise<ServerInfo> {
  return ask("/v1/server", {});
}

/** A token for any name; only servers for development give one. */
export async function devToken(user: string): Promise<string> {
  return (await ask<{ token: string }>("/v1/dev/token", postOf({ user }))).token;
}

function postOf(body: unknown): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** The calls that need a token. renew is asked once when the token has expired. */
export class Rest {
  constructor(
    private readonly token: () => string,
    private readonly renew: () => Promise<boolean>,
  ) {}

  private async call<T>(path: string, init: RequestInit = {}): Promise<T> {
    const once = () => ask<T>(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${this.token()}` } });
    try {
      return await once();
    } catch (e) {
      if (e instanceof RestError && e.status === 401 && (await this.renew())) return once();
      throw e;
    }
  }

  /** A page of conversations, the most recently active first. */
  async chats(before?: string): Promise<{ chats: RemoteChat[]; next?: string }> {
    const query = before ? `?limit=50&before=${encodeURIComponent(before)}` : "?limit=50";
    const r = await this.call<{ chats: ChatJSON[]; next?: string }>("/v1/chats" + query);
    return { chats: r.chats.map(chatOf), ...(r.next ? { next: r.next } : {}) };
  }

  /** Entries older than before (0: the newest), newest first. */
  async older(chatId: string, before: number, limit: number): Promise<HistoryPage> {
    return this.page(chatId, `limit=${limit}` + (before > 0 ? `&before=${before}` : ""));
  }

  /** Entries newer than after, oldest first. */
  async newer(chatId: string, after: number, limit: number): Promise<HistoryPage> {
    return this.page(chatId, `limit=${limit}&after=${after}`);
  }

  private async page(chatId: string, query: string): Promise<HistoryPage> {
    const r = await this.call<{
      messages: MessageJSON[];
      next_cursor?: string;
      cursors?: { user_id: string; delivered: number; read: number }[];
    }>(`/v1/chats/${encodeURIComponent(chatId)}/messages?${query}`);
    const page: HistoryPage = { messages: r.messages.map(rowOf), more: !!r.next_cursor };
    if (r.cursors) page.cursors = r.cursors.map((c) => ({ chatId, userId: c.user_id, delivered: c.delivered, read: c.read }));
    return page;
  }

  async createGroup(name: string, members: string[]): Promise<string> {
    return (await this.call<{ chat_id: string }>("/v1/groups", postOf({ name, member_ids: members }))).chat_id;
  }
}

function rowOf(m: MessageJSON): Message {
  const { content, content_b64, ...rest } = m;
  const bytes = content === undefined ? (fromBase64(content_b64 ?? "") ?? new Uint8Array()) : utf8(content);
  return messageOf({ type: "new_message", ...rest, content: bytes });
}

function chatOf(c: ChatJSON): RemoteChat {
  return {
    chatId: c.chat_id,
    kind: c.kind,
    ...(c.name ? { name: c.name } : {}),
    ...(c.peer_id ? { peerId: c.peer_id } : {}),
    lastSeq: c.last_message_id,
    readSeq: c.last_read_message_id,
    updatedAt: c.updated_at,
    ...(c.last_message ? { last: rowOf(c.last_message) } : {}),
  };
}
