// What a field of the table may hold, the same for both forms of a frame.

import { textOf, utf8, validID } from "./bytes";
import { OPS, type FieldSpec, type Frame, type OpSpec } from "../wire.gen";

/** Why a frame was refused: a code of the table of errors, and the field to blame. */
export interface DecodeError {
  code: 1001 | 1003 | 1005;
  field?: string;
}

export type Decoded = { ok: true; frame: Frame } | { ok: false; error: DecodeError };

/** The loose view of a frame that code walking the table needs. */
export type Bag = Record<string, unknown>;

export const byCode: ReadonlyMap<number, OpSpec> = new Map(OPS.map((op) => [op.op, op]));
export const byName: ReadonlyMap<string, OpSpec> = new Map(OPS.map((op) => [op.name, op]));

export function bad(code: DecodeError["code"], field?: string): Decoded {
  return { ok: false, error: field === undefined ? { code } : { code, field } };
}

/** What a reader of one field found. */
export type Found = { value: unknown } | "absent" | "wrong";

/** An empty string or a zero in an optional field says nothing, but for cursor. */
export function holdsUint(f: FieldSpec, v: unknown): Found {
  if (typeof v !== "number" || !Number.isSafeInteger(v) || v < 0 || v > f.max) return "wrong";
  if (f.required) return v < f.min ? "wrong" : { value: v };
  return v === 0 && f.name !== "cursor" ? "absent" : { value: v };
}

export function holdsBytes(f: FieldSpec, v: Uint8Array): Found {
  if (v.length === 0) return f.required ? "wrong" : "absent";
  return v.length > f.max ? "wrong" : { value: v };
}

export function holdsText(f: FieldSpec, v: string): Found {
  if (v === "") return f.required ? "wrong" : "absent";
  const fits = f.type === "id" ? validID(v, f.max) : utf8(v).length <= f.max;
  return fits ? { value: v } : "wrong";
}

export function holdsTextBytes(f: FieldSpec, v: Uint8Array): Found {
  if (v.length > f.max) return "wrong";
  const text = textOf(v);
  return text === null ? "wrong" : holdsText(f, text);
}
