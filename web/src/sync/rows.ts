import type { Message } from "../db/db";
import type { NewMessageFrame } from "../wire.gen";
import { textOf } from "../wire/bytes";

/** The row of an entry. Content that is not text keeps its bytes and shows none. */
export function messageOf(f: NewMessageFrame): Message {
  const text = textOf(f.content);
  return {
    chatId: f.chat_id,
    seq: f.message_id,
    sender: f.sender_id,
    text: text ?? "",
    at: f.created_at,
    ...(text === null ? { bytes: f.content } : {}),
    ...(f.kind && f.kind !== "text" ? { kind: f.kind } : {}),
    ...(f.client_msg_id ? { clientMsgId: f.client_msg_id } : {}),
    ...(f.reply_to ? { replyTo: f.reply_to } : {}),
  };
}
