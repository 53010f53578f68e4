import { decode as libraryDecode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import golden from "../../../wire/testdata/golden.json";
import type { Frame } from "../wire.gen";
import { chatFromText, chatToText } from "./bytes";
import { decodeMsgpack, encodeMsgpack } from "./codec";
import type { Bag } from "./fields";
import { decodeJSON, encodeJSON } from "./json";

function fromHex(s: string): Uint8Array {
  return Uint8Array.from(s.match(/../g) ?? [], (h) => parseInt(h, 16));
}

function toHex(b: Uint8Array): string {
  return Array.from(b, (c) => c.toString(16).padStart(2, "0")).join("");
}

/** A frame as the vectors write it: bytes as NAME_hex. */
function fieldsOf(frame: Frame): Bag {
  const entries = Object.entries(frame).map(([k, v]) => (v instanceof Uint8Array ? [k + "_hex", toHex(v)] : [k, v]));
  return Object.fromEntries(entries) as Bag;
}

function frameOf(fields: Bag): Frame {
  const entries = Object.entries(fields).map(([k, v]) => (k.endsWith("_hex") ? [k.slice(0, -4), fromHex(v as string)] : [k, v]));
  return Object.fromEntries(entries) as Frame;
}

interface Vector {
  name: string;
  json?: string;
  msgpack_hex?: string;
  fields?: Bag;
  code?: number;
}
const vectors = golden.vectors as Vector[];
const lenient = golden.lenient as Vector[];
const refused = golden.bad as Vector[];

// JSON.parse, to which json.ts leaves the reading, cannot see these.
const notSeenByParse = new Set([
  "type twice",
  "type twice, once escaped",
  "nested too deep",
  "field twice",
  "message_id with a fraction",
]);

describe("golden vectors", () => {
  test.each(vectors)("$name: both forms, both ways", (v) => {
    const frame = frameOf(v.fields!);
    expect(toHex(encodeMsgpack(frame))).toBe(v.msgpack_hex);
    expect(JSON.parse(encodeJSON(frame))).toEqual(JSON.parse(v.json!));
    expect(decodeMsgpack(fromHex(v.msgpack_hex!))).toEqual({ ok: true, frame });
    expect(decodeJSON(v.json!)).toEqual({ ok: true, frame });
  });

  test.each(vectors)("$name: an ordinary library reads the same", (v) => {
    const list = libraryDecode(fromHex(v.msgpack_hex!)) as unknown[];
    const own = decodeMsgpack(fromHex(v.msgpack_hex!));
    if (!own.ok) throw new Error("not read");
    const values = Object.entries(own.frame).filter(([k]) => !["type", "chat_id", "status", "state", "limits"].includes(k));
    for (const [, value] of values) expect(list).toContainEqual(value);
  });

  test.each(lenient)("lenient: $name", (v) => {
    const got = v.json === undefined ? decodeMsgpack(fromHex(v.msgpack_hex!)) : decodeJSON(v.json);
    expect(got.ok && fieldsOf(got.frame)).toEqual(v.fields);
  });

  test.each(refused.filter((v) => !notSeenByParse.has(v.name) || v.json === undefined))("refused: $name", (v) => {
    const got = v.json === undefined ? decodeMsgpack(fromHex(v.msgpack_hex!)) : decodeJSON(v.json);
    expect(got).toMatchObject({ ok: false, error: { code: v.code } });
  });

  test("every vector cut short is refused, never a crash", () => {
    for (const v of vectors) {
      const b = fromHex(v.msgpack_hex!);
      for (let n = 0; n < b.length; n++) expect(decodeMsgpack(b.subarray(0, n)).ok).toBe(false);
    }
  });

  test("random bytes are refused or read, never a crash", () => {
    let seed = 1;
    const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
    for (let i = 0; i < 20_000; i++) {
      const b = Uint8Array.from({ length: next() % 40 }, next);
      if (b.length > 1) [b[0], b[1]] = [0x90 | (next() % 16), next() % 16];
      decodeMsgpack(b);
    }
  });
});

test("a conversation id has one text form", () => {
  const b = fromHex("64693a10ff351a40272945b41a9f13c1");
  expect(chatToText(b)).toBe("dne5bb7zvdjacokkfwqnj6e6b");
  expect(chatFromText("dne5bb7zvdjacokkfwqnj6e6b")).toEqual(b);
  expect(chatFromText("dNE5bb7zvdjacokkfwqnj6e6b")).toBeNull();
});
