import { useEffect, useRef, useState } from "preact/hooks";
import { draftId } from "../db/db";
import { findChat } from "../db/queries";
import type { Engine } from "../sync/engine";
import { Announcer } from "./Announcer";
import { Avatar } from "./Avatar";
import { ChatList } from "./ChatList";
import { ConnectionState, OfflineBanner } from "./ConnectionState";
import { Conversation } from "./Conversation";
import { useLive, useLiveKept } from "./hooks";
import { Bird, ComposeIcon } from "./icons";
import { Menu } from "./Menu";
import { NewChat } from "./NewChat";
import { useRoute } from "./route";

interface Props {
  engine: Engine;
  dev: boolean;
  signOut(): void;
  switchUser(): void;
}

/** The two panes; on a phone one at a time. */
export function Messenger({ engine, dev, signOut, switchUser }: Props) {
  const route = useRoute();
  const [starting, setStarting] = useState(false);
  const compose = useRef<HTMLButtonElement>(null);
  const found = useLiveKept(async () => (route.chatId ? findChat(engine.db, route.chatId) : null), [route.chatId]);
  const chat = route.chatId ? found : null;

  // A draft becomes the real conversation as soon as that is known.
  const real = chat && route.chatId === draftId(chat.peerId) && chat.chatId !== route.chatId ? chat.chatId : null;
  useEffect(() => {
    if (real) route.rename(real);
  }, [real]);
  useTitle(engine);

  const leave = () => {
    const id = route.chatId;
    route.leave();
    // Where the person came from is where the keyboard goes on.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`a.row[href$="${CSS.escape(encodeURIComponent(id ?? ""))}"]`)?.focus());
  };
  const started = (chatId: string) => {
    setStarting(false);
    route.open(chatId);
  };
  return (
    <div class={`messenger${route.chatId ? " has-chat" : ""}`}>
      <Announcer engine={engine} />
      <header class="side">
        <div class="side-head">
          <Avatar name={engine.db.user} small />
          <div class="side-who">
            <h1>
              <span class="side-name" dir="auto" title={engine.db.user}>
                {engine.db.user}
              </span>
              {dev && <span class="devtag">dev sign-in</span>}
            </h1>
            <ConnectionState engine={engine} />
          </div>
          <button ref={compose} class="round" type="button" aria-label="New conversation" title="New conversation" onClick={() => setStarting(true)}>
            <ComposeIcon />
          </button>
          <Menu dev={dev} signOut={signOut} switchUser={switchUser} />
        </div>
        <OfflineBanner engine={engine} />
        <ChatList engine={engine} route={route} start={() => setStarting(true)} />
      </header>
      <main class="main">
        {chat ? <Conversation key={chat.peerId || chat.chatId} engine={engine} chat={chat} leave={leave} /> : <Nothing missing={chat === null && route.chatId !== null} leave={leave} />}
      </main>
      {starting && <NewChat engine={engine} done={started} close={() => (setStarting(false), compose.current?.focus())} />}
    </div>
  );
}

function Nothing({ missing, leave }: { missing: boolean; leave(): void }) {
  return (
    <div class="nothing">
      <Bird size={88} />
      <p>{missing ? "This conversation is not on this device." : "Choose a conversation, or start one with +."}</p>
      {missing && (
        <button class="link" type="button" onClick={leave}>
          Back to the list
        </button>
      )}
    </div>
  );
}

/** Unread messages in the title of the tab. */
function useTitle(engine: Engine): void {
  const unread = useLive(async () => {
    let n = 0;
    await engine.db.chats.filter((c) => c.unread > 0).each((c) => (n += c.unread));
    return n;
  }, [engine]);
  useEffect(() => {
    document.title = unread ? `(${unread > 99 ? "99+" : unread}) godwit` : "godwit";
  }, [unread]);
}
