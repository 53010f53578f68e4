// Who is typing where. Nothing of it is stored.

import { LIMITS, type TypingState } from "../wire.gen";
import { Value } from "./value";

/** Users typing, by conversation. Replaced as a whole when it changes. */
export type Typists = ReadonlyMap<string, readonly string[]>;

export class Typing {
  readonly typists = new Value<Typists>(new Map());
  private readonly until = new Map<string, Map<string, number>>();
  private readonly told = new Map<string, number>();

  constructor(
    private readonly tell: (chatId: string, state: TypingState) => void,
    private readonly now: () => number,
  ) {}

  /** Somebody else started or stopped. */
  heard(chatId: string, user: string, state: TypingState): void {
    const users = this.until.get(chatId) ?? new Map<string, number>();
    if (state === "start") users.set(user, this.now() + LIMITS.typingShownMs);
    else users.delete(user);
    this.until.set(chatId, users);
    this.publish();
  }

  /** The person types here. */
  wrote(chatId: string): void {
    if (this.now() - (this.told.get(chatId) ?? 0) < LIMITS.typingEveryMs) return;
    this.told.set(chatId, this.now());
    this.tell(chatId, "start");
  }

  /** The person took back what was typed; a message sent ends it by itself. */
  ceased(chatId: string, sent: boolean): void {
    if (this.told.delete(chatId) && !sent) this.tell(chatId, "stop");
  }

  /** Forgets who has been silent; to be called about once a second. */
  tick(): void {
    let changed = false;
    for (const [chatId, users] of this.until) {
      for (const [user, t] of users) if (t <= this.now()) changed = users.delete(user);
      if (users.size === 0) this.until.delete(chatId);
    }
    if (changed) this.publish();
  }

  private publish(): void {
    const next = [...this.until].filter(([, users]) => users.size > 0).map(([id, users]) => [id, [...users.keys()]] as const);
    this.typists.set(new Map(next));
  }
}
