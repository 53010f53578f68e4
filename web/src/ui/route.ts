// Which conversation is open, kept in the address so that reload, back and
// forward do what people expect.

import { useEffect, useState } from "preact/hooks";

const CHAT = "#/c/";

function read(): string | null {
  if (!location.hash.startsWith(CHAT)) return null;
  try {
    return decodeURIComponent(location.hash.slice(CHAT.length)) || null;
  } catch {
    return null;
  }
}

export function hrefOf(chatId: string): string {
  return CHAT + encodeURIComponent(chatId);
}

export interface Route {
  chatId: string | null;
  open(chatId: string): void;
  /** Replaces the address without a step in the history. */
  rename(chatId: string): void;
  /** Back to the list. */
  leave(): void;
}

export function useRoute(): Route {
  const [chatId, setChatId] = useState(read);
  useEffect(() => {
    const changed = () => setChatId(read());
    addEventListener("popstate", changed);
    addEventListener("hashchange", changed);
    return () => {
      removeEventListener("popstate", changed);
      removeEventListener("hashchange", changed);
    };
  }, []);
  const go = (href: string, replace: boolean) => {
    if (replace) history.replaceState(history.state, "", href);
    else history.pushState({ fromList: true }, "", href);
    setChatId(read());
  };
  return {
    chatId,
    open: (id) => go(hrefOf(id), chatId !== null),
    rename: (id) => go(hrefOf(id), true),
    leave: () => {
      if ((history.state as { fromList?: boolean } | null)?.fromList) history.back();
      else go("#/", true);
    },
  };
}
