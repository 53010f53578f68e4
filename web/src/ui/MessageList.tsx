import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Chat } from "../db/db";
import { cursorsOf, pageOf, reachOf, type Page } from "../db/queries";
import type { Engine } from "../sync/engine";
import { BubbleView } from "./BubbleView";
import { dayName, exactTime } from "./format";
import { useLiveKept, useNow, useValue } from "./hooks";
import { DownIcon } from "./icons";
import { itemsOf, within, type Item } from "./items";
import { useScroll, type Scroll } from "./useScroll";
import { newer, older, opening, tail } from "./window";

/** Nearer to an edge than this, more is fetched. */
const EDGE_PX = 600;

export function MessageList({ engine, chat }: { engine: Engine; chat: Chat }) {
  const { db } = engine;
  const first = chat.firstSeq ?? 1;
  // Where reading stopped, until one has answered; a conversation opened again begins anew.
  const [unreadFrom, setUnreadFrom] = useState(chat.unread > 0 ? chat.readSeq + 1 : 0);
  const [span, setSpan] = useState(() => opening(first, chat.unread > 0 ? chat.readSeq : chat.lastSeq, chat.lastSeq));
  const hi = Math.min(span.hi ?? chat.lastSeq, chat.lastSeq);
  const page = useLiveKept(() => pageOf(db, chat.chatId, span.lo, span.hi ?? Infinity), [chat.chatId, span.lo, span.hi]);
  const cursors = useLiveKept(() => cursorsOf(db, chat.chatId), [chat.chatId]);
  const reach = useMemo(() => reachOf(chat, db.user, cursors ?? []), [chat, cursors]);
  const now = useNow(60_000);

  const items = useMemo(
    () => (page ? itemsOf(page.rows, within(page.outgoing, span, first), Math.max(span.lo, first), hi, db.user, unreadFrom) : null),
    [page, span, hi, first, unreadFrom],
  );
  const failed = useFill(engine, chat.chatId, items);
  const scroll = useScroll(items);
  const [far, setFar] = useState(false);
  useLayoutEffect(() => setFar(span.hi !== null || !scroll.atEnd()), [items]);

  // Where reading stopped is where it goes on.
  useLayoutEffect(() => {
    if (unreadFrom > 0) scroll.toKey("unread");
  }, []);

  const see = useReading(engine, chat, scroll, items);
  const scrolled = () => {
    if (scroll.pending()) return;
    scroll.note();
    const el = scroll.box.current!;
    if (el.scrollTop < EDGE_PX && span.lo > first) setSpan(older(span, first, chat.lastSeq));
    else if (span.hi !== null && el.scrollHeight - el.scrollTop - el.clientHeight < EDGE_PX) setSpan(newer(span, chat.lastSeq));
    setFar(span.hi !== null || !scroll.atEnd());
    see();
  };
  const jump = () => {
    setSpan(tail(first, chat.lastSeq));
    setFar(false);
    scroll.toEnd();
  };
  useWritten(page, chat, db.user, jump, () => {
    scroll.release();
    setUnreadFrom(0);
  });

  return (
    <div class="messages-frame">
      <div class="messages" ref={scroll.box} onScroll={scrolled} onWheel={scroll.release} onTouchMove={scroll.release} onKeyDown={scroll.release} tabIndex={0} role="region" aria-label="Messages">
        <ol>
          {items?.map((item) => (
            <ItemView key={item.key} item={item} engine={engine} chat={chat} now={now} reach={reach} failed={failed} />
          ))}
        </ol>
      </div>
      {far && (
        <button class="round jump" type="button" aria-label="Go to the newest message" onClick={jump}>
          <DownIcon />
          {chat.unread > 0 && <span class="badge">{chat.unread > 99 ? "99+" : chat.unread}</span>}
        </button>
      )}
    </div>
  );
}

/**
 * Calls written when a message appears in the outbox: what one has just written
 * is what one wants to see. Calls answered then too, and when own words appear
 * in the log that another device sent.
 */
function useWritten(page: Page | undefined, chat: Chat, me: string, written: () => void, answered: () => void): void {
  const [opened] = useState(chat.lastSeq);
  const newest = page && (page.outgoing.at(-1)?.n ?? 0);
  const seen = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (newest === undefined) return;
    const more = newest > (seen.current ?? Infinity);
    seen.current = Math.max(newest, seen.current ?? 0);
    if (!more) return;
    written();
    answered();
  }, [newest]);
  const own = page?.rows.findLast((m) => m.sender === me)?.seq ?? 0;
  useEffect(() => {
    if (own > opened) answered();
  }, [own > opened]);
}

interface ItemProps {
  item: Item;
  engine: Engine;
  chat: Chat;
  now: number;
  reach: { delivered: number; read: number };
  failed: boolean;
}

function ItemView({ item, engine, chat, now, reach, failed }: ItemProps) {
  switch (item.type) {
    case "day":
      return (
        <li class="day" data-key={item.key}>
          <span>{dayName(item.at, now)}</span>
        </li>
      );
    case "event":
      return (
        <li class="event" data-key={item.key} data-seq={item.seq}>
          <span title={exactTime(item.at)}>{item.text}</span>
        </li>
      );
    case "unread":
      return (
        <li class="unread-mark" data-key={item.key}>
          <span>New messages</span>
        </li>
      );
    case "hole":
      return (
        <li class="hole" data-hole={item.lo}>
          {failed ? "These messages need a connection." : "Loading…"}
        </li>
      );
    case "bubble":
      return <BubbleView engine={engine} b={item} group={chat.kind === "group"} reach={reach} />;
  }
}

/** Fetches what is missing on the screen; true while that is not possible. */
function useFill(engine: Engine, chatId: string, items: Item[] | null): boolean {
  const [failed, setFailed] = useState(false);
  const phase = useValue(engine.status).phase;
  const missing = items?.filter((i) => i.type === "hole").at(-1);
  useEffect(() => {
    if (!missing) return;
    let here = true;
    engine.history.fill(chatId, missing.lo, missing.hi).then(
      () => here && setFailed(false),
      () => here && setFailed(true),
    );
    return () => void (here = false);
  }, [chatId, missing?.lo, missing?.hi, phase]);
  return failed;
}

/** Marks as read what is visible while the person is here; returns a check to call on scroll. */
function useReading(engine: Engine, chat: Chat, scroll: Scroll, items: Item[] | null): () => void {
  const check = () => {
    const el = scroll.box.current;
    if (!el || scroll.pending() || document.visibilityState !== "visible" || !document.hasFocus()) return;
    const end = el.getBoundingClientRect().bottom;
    const bubbles = [...el.querySelectorAll<HTMLElement>("[data-seq]")];
    const last = bubbles.findLast((b) => b.getBoundingClientRect().bottom <= end + 8);
    const seq = Number(last?.dataset.seq ?? 0);
    if (seq > chat.readSeq) void engine.markRead(chat.chatId, seq);
  };
  const latest = useRef(check);
  latest.current = check;
  useEffect(() => {
    const f = requestAnimationFrame(() => latest.current());
    return () => cancelAnimationFrame(f);
  }, [items]);
  useEffect(() => {
    const look = () => latest.current();
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  return check;
}
