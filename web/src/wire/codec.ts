// Frames as bytes, driven by the generated table. Decoding refuses exactly
// what the edge refuses; the golden vectors hold both to that. json.ts has the
// text form, for people.

import { LIMIT_NAMES, LIMITS, STATUS, TYPING, type FieldSpec, type Frame, type OpSpec } from "../wire.gen";
import { chatFromText, chatToText, CHAT_BYTES, isChatKind, utf8 } from "./bytes";
import { bad, byCode, byName, holdsBytes, holdsTextBytes, holdsUint, type Bag, type Decoded, type Found } from "./fields";
import { decodeJSON, encodeJSON } from "./json";
import { MsgpackError, Reader, Writer } from "./msgpack";

export type Format = "msgpack" | "json";
export type { Decoded } from "./fields";

const statusNames = new Map<number, string>(Object.entries(STATUS).map(([name, v]) => [v, name]));
const typingNames = new Map<number, string>(Object.entries(TYPING).map(([name, v]) => [v, name]));

export function encode(frame: Frame, format: Format): Uint8Array<ArrayBuffer> | string {
  return format === "json" ? encodeJSON(frame) : encodeMsgpack(frame);
}

export function decode(data: Uint8Array | string, format: Format): Decoded {
  if (format === "json") return typeof data === "string" ? decodeJSON(data) : bad(1001);
  return typeof data === "string" ? bad(1001) : decodeMsgpack(data);
}

/** The binary form. The frame is ours and fits the table; it is not checked. */
export function encodeMsgpack(frame: Frame): Uint8Array<ArrayBuffer> {
  const spec = byName.get(frame.type)!;
  const bag = frame as unknown as Bag;
  const w = new Writer();
  let n = spec.fields.length;
  while (n > 0 && bag[spec.fields[n - 1]!.name] === undefined) n--;
  w.array(n + 1);
  w.uint(spec.op);
  for (const f of spec.fields.slice(0, n)) writeField(w, f, bag[f.name]);
  return w.done();
}

function writeField(w: Writer, f: FieldSpec, v: unknown): void {
  if (v === undefined) return w.nil();
  switch (f.type) {
    case "text":
    case "id":
      return w.str(utf8(v as string));
    case "bytes":
      return w.bin(v as Uint8Array);
    case "chat":
      return w.bin(chatFromText(v as string)!);
    case "bool":
      return w.bool(v as boolean);
    case "status":
      return w.uint(STATUS[v as keyof typeof STATUS]);
    case "typing":
      return w.uint(TYPING[v as keyof typeof TYPING]);
    case "limits":
      w.array(LIMIT_NAMES.length);
      for (const name of LIMIT_NAMES) w.uint((v as Record<string, number>)[name]!);
      return;
    case "uint":
      return w.uint(v as number);
  }
}

/** Reads the binary form. Content is copied; b may be reused afterwards. */
export function decodeMsgpack(b: Uint8Array): Decoded {
  try {
    const r = new Reader(b);
    const n = r.arrayLen();
    if (n === 0 || n > LIMITS.fields) return bad(1001);
    const spec = byCode.get(r.uint());
    const result = spec ? readFields(r, spec, n - 1) : bad(1003);
    for (let i = spec?.fields.length ?? 0; i < n - 1; i++) r.skip();
    return r.left === 0 ? result : bad(1001);
  } catch (e) {
    if (e instanceof MsgpackError) return bad(1001);
    throw e;
  }
}

/** Reads the fields of which n elements are there; the first bad one is blamed. */
function readFields(r: Reader, spec: OpSpec, n: number): Decoded {
  const bag: Bag = { type: spec.name };
  let result: Decoded = { ok: true, frame: bag as unknown as Frame };
  for (const [i, f] of spec.fields.entries()) {
    let found: Found = "absent";
    if (i < n && !r.skipNil()) {
      const start = r.mark();
      found = readField(r, f);
      if (found === "wrong") {
        r.back(start);
        r.skip();
      }
    }
    if (typeof found === "object") bag[f.name] = found.value;
    else if (result.ok && (f.required || found === "wrong")) result = bad(1005, f.name);
  }
  return result;
}

function readField(r: Reader, f: FieldSpec): Found {
  try {
    switch (f.type) {
      case "text":
      case "id":
        return holdsTextBytes(f, r.bytes(false));
      case "bytes":
        // A copy: a view would keep the whole frame in memory for its sake.
        return holdsBytes(f, r.bytes(true).slice());
      case "chat":
        return readChat(f, r.bytes(true));
      case "bool":
        return { value: r.bool() };
      case "status":
        return readName(statusNames, r.uint());
      case "typing":
        return readName(typingNames, r.uint());
      case "limits":
        return readLimits(r);
      case "uint":
        return holdsUint(f, r.uint());
    }
  } catch (e) {
    if (e instanceof MsgpackError) return "wrong";
    throw e;
  }
}

function readChat(f: FieldSpec, s: Uint8Array): Found {
  if (s.length === 0) return f.required ? "wrong" : "absent";
  return s.length === CHAT_BYTES && isChatKind(s[0]) ? { value: chatToText(s) } : "wrong";
}

function readName(names: Map<number, string>, v: number): Found {
  const value = names.get(v);
  return value === undefined ? "wrong" : { value };
}

function readLimits(r: Reader): Found {
  const n = r.arrayLen();
  if (n < LIMIT_NAMES.length || n > LIMITS.fields) return "wrong";
  const value: Bag = {};
  for (const name of LIMIT_NAMES) {
    const v = r.uint();
    if (v > 0xffffffff) return "wrong";
    value[name] = v;
  }
  for (let i = LIMIT_NAMES.length; i < n; i++) r.skip();
  return { value };
}
