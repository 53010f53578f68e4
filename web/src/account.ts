// Who is signed in. Tokens are kept per user in localStorage, the user of a
// tab in its sessionStorage: two tabs may be two people, a new tab is whoever
// signed in last.

import { devToken } from "./sync/rest";
import type { Credentials } from "./sync/engine";
import { databaseName } from "./db/db";
import Dexie from "dexie";
import { textOf, fromBase64, validID } from "./wire/bytes";
import { LIMITS } from "./wire.gen";

export interface Account {
  user: string;
  token: string;
  /** From the development sign-in: a new token may be had for the asking. */
  dev: boolean;
}

const PREFIX = "godwit.account:";
const LAST = "godwit.last";
const HERE = "godwit.user";

export function currentAccount(): Account | null {
  const user = sessionStorage.getItem(HERE) ?? localStorage.getItem(LAST);
  if (!user) return null;
  const kept = localStorage.getItem(PREFIX + user);
  try {
    return kept ? (JSON.parse(kept) as Account) : null;
  } catch {
    return null;
  }
}

export function keepAccount(a: Account): void {
  localStorage.setItem(PREFIX + a.user, JSON.stringify(a));
  localStorage.setItem(LAST, a.user);
  sessionStorage.setItem(HERE, a.user);
}

/** Leaves the account in this tab; what it stored stays for the next time. */
export function leaveAccount(): void {
  sessionStorage.setItem(HERE, "");
}

/** Signs out: token and local messages of this user leave this browser. */
export async function forgetAccount(user: string): Promise<void> {
  leaveAccount();
  localStorage.removeItem(PREFIX + user);
  if (localStorage.getItem(LAST) === user) localStorage.removeItem(LAST);
  await Dexie.delete(databaseName(user));
}

/** Calls gone when another tab signs this user out. */
export function watchAccount(user: string, gone: () => void): () => void {
  const heard = (e: StorageEvent) => e.key === PREFIX + user && e.newValue === null && gone();
  addEventListener("storage", heard);
  return () => removeEventListener("storage", heard);
}

export async function devAccount(user: string): Promise<Account> {
  return { user, token: await devToken(user), dev: true };
}

/** The account a pasted token stands for, or what is wrong with it. */
export function accountOfToken(pasted: string): Account | string {
  const token = pasted.trim().replace(/^Bearer\s+/i, "");
  if (token.length > LIMITS.token) return `That is longer than a token may be (${LIMITS.token} characters).`;
  const user = subjectOf(token);
  return user === null ? "That is not a token: it should be three parts with dots between them." : { user, token, dev: false };
}

/** Reads `sub` without verifying anything: the server does that. */
function subjectOf(token: string): string | null {
  const part = token.split(".")[1];
  if (token.split(".").length !== 3 || !part) return null;
  const padded = part.replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(part.length / 4) * 4, "=");
  try {
    const { sub } = JSON.parse(textOf(fromBase64(padded)!)!) as { sub?: unknown };
    return typeof sub === "string" && validID(sub, LIMITS.id) ? sub : null;
  } catch {
    return null;
  }
}

/** What the engine needs of an account. */
export function credentialsOf(a: Account): Credentials {
  return {
    user: a.user,
    token: () => a.token,
    renew: async () => {
      if (!a.dev) return false;
      a.token = await devToken(a.user);
      localStorage.setItem(PREFIX + a.user, JSON.stringify(a));
      return true;
    },
  };
}
