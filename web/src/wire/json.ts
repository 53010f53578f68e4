// The text form: one JSON object with `type` and the table's names. For people
// and debugging (?format=json); names it does not know are ignored. Reading is
// left to JSON.parse, which takes the last of two equal names and any depth,
// where the edge refuses both: the edge is the one who reads from strangers.

import { LIMIT_NAMES, STATUS, TYPING, type FieldSpec, type Frame } from "../wire.gen";
import { chatFromText, fromBase64, textOf, toBase64, utf8 } from "./bytes";
import { bad, byName, holdsBytes, holdsText, holdsUint, type Bag, type Decoded, type Found } from "./fields";

export function encodeJSON(frame: Frame): string {
  const bag = frame as unknown as Bag;
  const out: Bag = { type: frame.type };
  for (const f of byName.get(frame.type)!.fields) {
    const v = bag[f.name];
    if (v === undefined) continue;
    if (f.type !== "bytes") {
      out[f.name] = v;
      continue;
    }
    const text = textOf(v as Uint8Array);
    if (text === null) out[f.name + "_b64"] = toBase64(v as Uint8Array);
    else out[f.name] = text;
  }
  return JSON.stringify(out);
}

export function decodeJSON(s: string): Decoded {
  let obj: unknown;
  try {
    obj = JSON.parse(s);
  } catch {
    return bad(1001);
  }
  if (!isObject(obj) || typeof obj.type !== "string") return bad(1001);
  const spec = byName.get(obj.type);
  if (!spec) return bad(1003);
  const bag: Bag = { type: spec.name };
  for (const f of spec.fields) {
    const found = readField(f, obj);
    if (typeof found === "object") bag[f.name] = found.value;
    else if (f.required || found === "wrong") return bad(1005, f.name);
  }
  return { ok: true, frame: bag as unknown as Frame };
}

function isObject(v: unknown): v is Bag {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

function readField(f: FieldSpec, obj: Bag): Found {
  if (f.type === "bytes") return readBytes(f, obj[f.name], obj[f.name + "_b64"]);
  const raw = obj[f.name];
  if (raw === undefined || raw === null) return "absent";
  switch (f.type) {
    case "bool":
      return typeof raw === "boolean" ? { value: raw } : "wrong";
    case "uint":
      return holdsUint(f, raw);
    case "limits":
      return readLimits(raw);
  }
  if (typeof raw !== "string") return "wrong";
  switch (f.type) {
    case "chat":
      if (raw === "" && !f.required) return "absent";
      return chatFromText(raw) ? { value: raw } : "wrong";
    case "status":
      return Object.hasOwn(STATUS, raw) ? { value: raw } : "wrong";
    case "typing":
      return Object.hasOwn(TYPING, raw) ? { value: raw } : "wrong";
  }
  return holdsText(f, raw);
}

function readBytes(f: FieldSpec, text: unknown, coded: unknown): Found {
  const raw = text ?? coded;
  if (raw === undefined || raw === null) return "absent";
  if (typeof raw !== "string" || (text !== undefined && coded !== undefined)) return "wrong";
  if (raw === text) return raw.isWellFormed() ? holdsBytes(f, utf8(raw)) : "wrong";
  const bytes = fromBase64(raw);
  return bytes ? holdsBytes(f, bytes) : "wrong";
}

function readLimits(raw: unknown): Found {
  if (!isObject(raw)) return "wrong";
  const value: Bag = {};
  for (const name of LIMIT_NAMES) {
    const v = raw[name];
    if (typeof v !== "number" || !Number.isInteger(v) || v < 0 || v > 0xffffffff) return "wrong";
    value[name] = v;
  }
  return { value };
}
