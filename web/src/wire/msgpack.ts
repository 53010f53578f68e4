// The msgpack elements the protocol uses, and nothing more. A general library
// would hand back a value whose form is lost (a str and a bin, a signed and an
// unsigned number look alike then), so it could not refuse what the edge
// refuses. The tests compare this file with such a library.

/** Thrown when the bytes are not what was asked for. */
export class MsgpackError extends Error {}

/**
 * Reads elements from the front of a frame. A declared length is compared with
 * the bytes that are there before anything else happens. It never recurses.
 */
export class Reader {
  private at = 0;

  constructor(private readonly b: Uint8Array) {}

  get left(): number {
    return this.b.length - this.at;
  }

  /** A place to come back to. */
  mark(): number {
    return this.at;
  }

  back(mark: number): void {
    this.at = mark;
  }

  /** The next n bytes, as a view of the frame. */
  take(n: number): Uint8Array {
    if (n > this.left) throw new MsgpackError("length beyond the frame");
    const s = this.b.subarray(this.at, this.at + n);
    this.at += n;
    return s;
  }

  private lead(): number {
    return this.take(1)[0]!;
  }

  /** A big-endian number of n bytes; Infinity when JavaScript cannot hold it. */
  private be(n: number): number {
    let v = 0;
    for (const c of this.take(n)) v = v * 256 + c;
    return Number.isSafeInteger(v) ? v : Infinity;
  }

  skipNil(): boolean {
    if (this.left === 0 || this.b[this.at] !== 0xc0) return false;
    this.at++;
    return true;
  }

  arrayLen(): number {
    const c = this.lead();
    if ((c & 0xf0) === 0x90) return c & 0x0f;
    if (c === 0xdc) return this.be(2);
    throw new MsgpackError("not an array");
  }

  /** A number from zero; signed forms too, because some libraries write them. */
  uint(): number {
    const c = this.lead();
    if (c < 0x80) return c;
    if (c >= 0xcc && c <= 0xcf) return this.be(1 << (c - 0xcc));
    if (c >= 0xd0 && c <= 0xd3) {
      const size = 1 << (c - 0xd0);
      const v = this.be(size);
      if (v < 2 ** (8 * size - 1)) return v;
    }
    throw new MsgpackError("not an unsigned number");
  }

  bool(): boolean {
    const c = this.lead();
    if (c !== 0xc2 && c !== 0xc3) throw new MsgpackError("not a truth value");
    return c === 0xc3;
  }

  /** A str, or with bin also a bin: libraries write either for bytes. */
  bytes(bin: boolean): Uint8Array {
    const c = this.lead();
    if ((c & 0xe0) === 0xa0) return this.take(c & 0x1f);
    if (c >= 0xd9 && c <= 0xdb) return this.take(this.be(1 << (c - 0xd9)));
    if (bin && c >= 0xc4 && c <= 0xc6) return this.take(this.be(1 << (c - 0xc4)));
    throw new MsgpackError(bin ? "not bytes" : "not a string");
  }

  /** Passes over one element of any type, however deeply it nests. */
  skip(): void {
    for (let open = 1; open > 0; open--) {
      const inside = this.skipBody(this.lead());
      if (inside > this.left) throw new MsgpackError("length beyond the frame");
      open += inside;
    }
  }

  /** Passes over the rest of an element; returns how many follow inside it. */
  private skipBody(c: number): number {
    if (c < 0x80 || c >= 0xe0 || c === 0xc0 || c === 0xc2 || c === 0xc3) return 0;
    if ((c & 0xf0) === 0x80) return 2 * (c & 0x0f);
    if ((c & 0xf0) === 0x90) return c & 0x0f;
    if ((c & 0xe0) === 0xa0) return this.pass(c & 0x1f);
    if (c >= 0xc4 && c <= 0xc6) return this.pass(this.be(1 << (c - 0xc4)));
    if (c >= 0xc7 && c <= 0xc9) return this.pass(this.be(1 << (c - 0xc7)) + 1);
    if (c === 0xca || c === 0xcb) return this.pass(4 << (c - 0xca));
    if (c >= 0xcc && c <= 0xcf) return this.pass(1 << (c - 0xcc));
    if (c >= 0xd0 && c <= 0xd3) return this.pass(1 << (c - 0xd0));
    if (c >= 0xd4 && c <= 0xd8) return this.pass(1 + (1 << (c - 0xd4)));
    if (c >= 0xd9 && c <= 0xdb) return this.pass(this.be(1 << (c - 0xd9)));
    if (c === 0xdc || c === 0xdd) return this.be(2 << (c - 0xdc));
    if (c === 0xde || c === 0xdf) return 2 * this.be(2 << (c - 0xde));
    throw new MsgpackError("unused type byte");
  }

  private pass(n: number): 0 {
    this.take(n);
    return 0;
  }
}

/** Collects elements; the shortest form is always taken. */
export class Writer {
  private b = new Uint8Array(256);
  private n = 0;

  /** The bytes written so far, in an array of their own. */
  done(): Uint8Array<ArrayBuffer> {
    return this.b.slice(0, this.n);
  }

  private room(n: number): void {
    if (this.n + n <= this.b.length) return;
    const bigger = new Uint8Array(Math.max(2 * this.b.length, this.n + n));
    bigger.set(this.b);
    this.b = bigger;
  }

  private put(type: number, v: number, size: number): void {
    this.room(1 + size);
    this.b[this.n++] = type;
    for (let i = size - 1; i >= 0; i--) this.b[this.n++] = Math.floor(v / 2 ** (8 * i)) % 256;
  }

  private raw(s: Uint8Array): void {
    this.room(s.length);
    this.b.set(s, this.n);
    this.n += s.length;
  }

  nil(): void {
    this.put(0xc0, 0, 0);
  }

  bool(v: boolean): void {
    this.put(v ? 0xc3 : 0xc2, 0, 0);
  }

  /** The head of an array of n < 16 elements. */
  array(n: number): void {
    this.put(0x90 | n, 0, 0);
  }

  uint(v: number): void {
    if (v < 0x80) this.put(v, 0, 0);
    else if (v < 0x100) this.put(0xcc, v, 1);
    else if (v < 0x10000) this.put(0xcd, v, 2);
    else if (v < 0x100000000) this.put(0xce, v, 4);
    else this.put(0xcf, v, 8);
  }

  str(s: Uint8Array): void {
    if (s.length < 32) this.put(0xa0 | s.length, 0, 0);
    else if (s.length < 0x100) this.put(0xd9, s.length, 1);
    else if (s.length < 0x10000) this.put(0xda, s.length, 2);
    else this.put(0xdb, s.length, 4);
    this.raw(s);
  }

  bin(s: Uint8Array): void {
    if (s.length < 0x100) this.put(0xc4, s.length, 1);
    else if (s.length < 0x10000) this.put(0xc5, s.length, 2);
    else this.put(0xc6, s.length, 4);
    this.raw(s);
  }
}
