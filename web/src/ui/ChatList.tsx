import { useRef, useState } from "preact/hooks";
import type { Chat, Outgoing } from "../db/db";
import { cursorsOf, listChats, outgoingOf, reachOf, titleOf } from "../db/queries";
import type { Engine } from "../sync/engine";
import { Avatar } from "./Avatar";
import { eventText, kindName, listTime, shortName } from "./format";
import { useLive, useLiveKept, useNow, useValue } from "./hooks";
import { SearchIcon } from "./icons";
import { hrefOf, type Route } from "./route";
import { Ticks, type TickState } from "./Ticks";

/** Conversations drawn at first, and added when the end comes into sight. */
const PAGE = 60;
const NEAR_END_PX = 400;

export function ChatList({ engine, route, start }: { engine: Engine; route: Route; start(): void }) {
  const [words, setWords] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const list = useRef<HTMLUListElement>(null);
  const chats = useLiveKept(() => listChats(engine.db, words, limit), [words, limit]);
  const now = useNow(60_000);

  const scrolled = () => {
    const el = list.current!;
    if ((chats?.length ?? 0) >= limit && el.scrollHeight - el.scrollTop - el.clientHeight < NEAR_END_PX) setLimit(limit + PAGE);
  };
  const move = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key];
    if (step === undefined) return;
    e.preventDefault();
    const links = [...list.current!.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
  };
  return (
    <nav class="chats" aria-label="Conversations">
      <label class="search">
        <SearchIcon />
        <span class="unseen">Search conversations</span>
        <input type="search" placeholder="Search" value={words} onInput={(e) => setWords(e.currentTarget.value)} onKeyDown={(e) => e.key === "ArrowDown" && move(e)} />
      </label>
      <ul ref={list} hidden={chats?.length === 0} onScroll={scrolled} onKeyDown={move}>
        {chats?.map((c) => (
          <Row key={c.chatId} engine={engine} chat={c} open={isOpen(c, route.chatId)} now={now} go={() => route.open(c.chatId)} />
        ))}
      </ul>
      {chats?.length === 0 && (words ? <p class="empty">No conversation is called that.</p> : <NoneYet start={start} />)}
    </nav>
  );
}

/** What somebody sees first. */
function NoneYet({ start }: { start(): void }) {
  return (
    <div class="empty">
      <p>No conversations yet.</p>
      <button class="button" type="button" onClick={start}>
        Start one
      </button>
    </div>
  );
}

function isOpen(c: Chat, chatId: string | null): boolean {
  return c.chatId === chatId;
}

interface RowProps {
  engine: Engine;
  chat: Chat;
  open: boolean;
  now: number;
  go(): void;
}

function Row({ engine, chat, open, now, go }: RowProps) {
  const click = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    go();
  };
  const unread = open && document.hasFocus() ? 0 : chat.unread;
  const outgoing = useLive(() => outgoingOf(engine.db, chat.chatId), [chat.chatId]) ?? [];
  const newest = outgoing.findLast((o) => o.failed === undefined || (o.after ?? Infinity) >= chat.lastSeq);
  const refused = newest?.failed === undefined && outgoing.some((o) => o.failed !== undefined);
  return (
    <li>
      <a href={hrefOf(chat.chatId)} class="row" aria-current={open ? "page" : undefined} onClick={click}>
        <Avatar name={titleOf(chat)} group={chat.kind === "group"} />
        <span class="row-title" dir="auto">{titleOf(chat)}</span>
        <span class="row-time">{listTime(chat.updatedAt, now)}</span>
        <span class="row-preview" dir="auto">
          <PreviewLine engine={engine} chat={chat} newest={newest} />
        </span>
        <span class="row-signs">
          {refused && <Ticks state="failed" />}
          {unread > 0 && (
            <span class="badge">
              {unread > 99 ? "99+" : unread}
              <span class="unseen"> unread</span>
            </span>
          )}
        </span>
      </a>
    </li>
  );
}

/** Who is typing, else the newest of the outbox that nothing came after, else the newest message. */
function PreviewLine({ engine, chat, newest }: { engine: Engine; chat: Chat; newest: Outgoing | undefined }) {
  const me = engine.db.user;
  const typists = useValue(engine.typing.typists).get(chat.chatId);
  const own = chat.preview?.sender === me;
  const cursors = useLive(async () => (own ? cursorsOf(engine.db, chat.chatId) : []), [chat.chatId, own]);
  if (typists?.length) return <em class="row-typing">{chat.kind === "group" ? `${shortName(typists[0]!)} is typing…` : "typing…"}</em>;
  if (newest) {
    return (
      <>
        <Ticks state={newest.failed === undefined ? "sending" : "failed"} /> {newest.text}
      </>
    );
  }
  const p = chat.preview;
  if (!p) return null;
  const reach = reachOf(chat, me, cursors ?? []);
  const event = eventText(p.kind, p.text, own ? "You" : shortName(p.sender));
  return (
    <>
      {own && !event && <Ticks state={tickOf(p.seq, reach)} />} {chat.kind === "group" && !own && !event && `${shortName(p.sender)}: `}
      {event || p.text || kindName(p.kind)}
    </>
  );
}

/** How far the entry seq has come, given how far the others have. */
export function tickOf(seq: number, reach: { delivered: number; read: number }): TickState {
  if (seq <= reach.read) return "read";
  return seq <= reach.delivered ? "delivered" : "stored";
}
