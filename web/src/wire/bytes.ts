// Base32 of conversation ids, base64 of content that is not UTF-8, and strict
// UTF-8: the small conversions that both codecs need.

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** Bytes of a conversation id: its kind and 15 bytes of hash or randomness. */
export const CHAT_BYTES = 16;
const CHAT_TEXT = /^[dg][a-z2-7]{24}$/;

/** The text form of a conversation id: the kind, then 24 base32 characters. */
export function chatToText(b: Uint8Array): string {
  let out = String.fromCharCode(b[0]!);
  let acc = 0;
  let bits = 0;
  for (let i = 1; i < b.length; i++) {
    acc = ((acc << 8) | b[i]!) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += alphabet[(acc >> bits) & 31];
    }
  }
  return out;
}

/** Reads the text form; null when it is not one. */
export function chatFromText(s: string): Uint8Array | null {
  if (!CHAT_TEXT.test(s)) return null;
  const b = new Uint8Array(CHAT_BYTES);
  b[0] = s.charCodeAt(0);
  let acc = 0;
  let bits = 0;
  let at = 1;
  for (let i = 1; i < s.length; i++) {
    acc = ((acc << 5) | alphabet.indexOf(s[i]!)) & 0xffff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      b[at++] = (acc >> bits) & 0xff;
    }
  }
  return b;
}

/** Whether the first byte of a conversation id names a kind that exists. */
export function isChatKind(c: number | undefined): boolean {
  return c === 0x64 || c === 0x67; // d, g
}

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(s: string): Uint8Array {
  return encoder.encode(s);
}

/** The text of b, or null when b is not UTF-8. */
export function textOf(b: Uint8Array): string | null {
  try {
    return strict.decode(b);
  } catch {
    return null;
  }
}

// Control characters, and the replacement character that stands for bytes
// somebody already failed to read.
const notInID = /[\u0000-\u001f\u007f-\u009f\ufffd]/;

/** Whether s may name a user, a device or a message: see wire.ValidID. */
export function validID(s: string, maxBytes: number): boolean {
  return s.length > 0 && !notInID.test(s) && utf8(s).length <= maxBytes;
}

export function toBase64(b: Uint8Array): string {
  let s = "";
  for (const c of b) s += String.fromCharCode(c);
  return btoa(s);
}

/** Reads standard base64 with its padding; null when it is anything else. */
export function fromBase64(s: string): Uint8Array | null {
  if (s.length % 4 !== 0 || /\s/.test(s)) return null;
  try {
    return Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}
