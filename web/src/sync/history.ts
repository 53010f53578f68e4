// What the store lacks, fetched over REST: the list of conversations, older
// pages, gaps. Two questions for the same thing share one request.

import { DRAFT, type Store } from "../db/db";
import { mergeChat, mergeCursor, mergeMessages, type RemoteChat } from "../db/merge";
import { holes } from "../db/queries";
import { LIMITS } from "../wire.gen";
import type { HistoryPage, Rest } from "./rest";

export class History {
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(
    private readonly db: Store,
    private readonly rest: Rest,
  ) {}

  private once<T>(key: string, f: () => Promise<T>): Promise<T> {
    const known = this.running.get(key);
    if (known) return known as Promise<T>;
    const p = f().finally(() => this.running.delete(key));
    this.running.set(key, p);
    return p;
  }

  /** The newest page of conversations; the first time on this device, all of them. */
  refreshChats(): Promise<RemoteChat[]> {
    return this.once("chats", async () => {
      const loaded = await this.db.metaOf("chatsLoaded");
      const all: RemoteChat[] = [];
      let next: string | undefined;
      do {
        const page = await this.rest.chats(next);
        await this.db.transaction("rw", this.db.tables, async () => {
          for (const c of page.chats) await mergeChat(this.db, c);
        });
        all.push(...page.chats);
        next = page.next;
      } while (next && !loaded);
      if (!loaded) await this.db.meta.put({ key: "chatsLoaded", value: 1 });
      return all;
    });
  }

  /** The newest page of a conversation and its members' cursors. */
  refreshChat(chatId: string): Promise<void> {
    if (chatId.startsWith(DRAFT)) return Promise.resolve();
    return this.once("chat " + chatId, async () => {
      await this.store(chatId, await this.rest.older(chatId, 0, LIMITS.historyPage));
    });
  }

  /** Makes the entries lo to hi be there, as far as the server has them. */
  fill(chatId: string, lo: number, hi: number): Promise<void> {
    return this.once(`fill ${chatId} ${lo} ${hi}`, async () => {
      const keys = await this.db.messages.where("[chatId+seq]").between([chatId, lo], [chatId, hi], true, true).primaryKeys();
      const missing = holes(keys.map(([, seq]) => ({ seq })), lo, hi);
      for (const [from, to] of missing.reverse()) await this.fillHole(chatId, from, to);
    });
  }

  /** Newest first, because that is what stands next to what is on the screen. */
  private async fillHole(chatId: string, from: number, to: number): Promise<void> {
    for (let before = to + 1; before > from; ) {
      const limit = Math.min(LIMITS.maxHistoryPage, before - from);
      const page = await this.rest.older(chatId, before, limit);
      await this.store(chatId, page);
      const oldest = page.messages.at(-1)?.seq;
      if (oldest === undefined || !page.more) {
        const first = oldest ?? before;
        if (first > from) await this.db.chats.update(chatId, { firstSeq: first });
        return;
      }
      before = oldest;
    }
  }

  private store(chatId: string, page: HistoryPage): Promise<void> {
    return this.db.transaction("rw", this.db.tables, async () => {
      await mergeMessages(this.db, chatId, page.messages);
      if (!page.cursors) return;
      for (const c of page.cursors) await mergeCursor(this.db, c);
      await this.db.chats.update(chatId, { membersKnown: 1 });
    });
  }
}
