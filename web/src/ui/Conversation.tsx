import { useEffect } from "preact/hooks";
import type { Chat } from "../db/db";
import { cursorsOf, titleOf } from "../db/queries";
import type { Engine } from "../sync/engine";
import { Avatar } from "./Avatar";
import { Composer } from "./Composer";
import { OfflineBanner } from "./ConnectionState";
import { isolated, shortName } from "./format";
import { useLive, useValue } from "./hooks";
import { BackIcon } from "./icons";
import { MessageList } from "./MessageList";

interface Props {
  engine: Engine;
  chat: Chat;
  leave(): void;
}

export function Conversation({ engine, chat, leave }: Props) {
  useEffect(() => {
    engine.show(chat.chatId);
    return () => engine.show(null);
  }, [chat.chatId]);
  const keys = (e: KeyboardEvent) => {
    if (e.key !== "Escape" || e.isComposing) return;
    e.preventDefault();
    leave();
  };
  return (
    <section class="conversation" aria-labelledby="chat-title" onKeyDown={keys}>
      <header class="chat-head">
        <button class="round back" type="button" aria-label="Back to the list" onClick={leave}>
          <BackIcon />
        </button>
        <Avatar name={titleOf(chat)} group={chat.kind === "group"} small />
        <div class="chat-who">
          <h2 id="chat-title" dir="auto" title={titleOf(chat)}>{titleOf(chat)}</h2>
          <Subtitle engine={engine} chat={chat} />
        </div>
      </header>
      <OfflineBanner engine={engine} />
      <MessageList engine={engine} chat={chat} />
      <Composer engine={engine} chatId={chat.chatId} place={chat.peerId || chat.chatId} title={titleOf(chat)} />
    </section>
  );
}

/** Who is typing, else who belongs to the group. */
function Subtitle({ engine, chat }: { engine: Engine; chat: Chat }) {
  const typists = useValue(engine.typing.typists).get(chat.chatId) ?? [];
  const members = useLive(async () => (chat.kind === "group" ? cursorsOf(engine.db, chat.chatId) : []), [chat.chatId]);
  if (typists.length > 0) {
    const who = chat.kind === "direct" ? "" : typists.length > 2 ? `${typists.length} people ` : `${typists.map(shortName).join(" and ")} `;
    return <p class="chat-sub chat-typing">{who}{typists.length > 1 ? "are typing…" : chat.kind === "direct" ? "typing…" : "is typing…"}</p>;
  }
  if (!members?.length || !chat.membersKnown) return null;
  const others = members.map((m) => m.userId).filter((id) => id !== engine.db.user);
  const names = ["you", ...others.sort().map(isolated)].join(", ");
  return (
    <p class="chat-sub" title={names}>
      {members.length > 6 ? `${members.length} members` : names}
    </p>
  );
}
