import { describe, expect, test } from "vitest";
import { decode, encode } from "../wire/codec";
import type { Frame } from "../wire.gen";
import { BACKOFF, backoff } from "./backoff";
import { Machine, TIMES, type Action, type Input, type Status } from "./machine";

/** A machine with a clock that is turned by hand; random is always 1/2. */
class Story {
  now = 1_000_000;
  readonly machine = new Machine("msgpack", () => 0.5);
  actions: Action[] = [];

  feed(input: Input): this {
    this.actions = this.machine.step(input, this.now);
    return this;
  }

  receive(f: Frame): this {
    return this.feed({ kind: "bytes", data: encode(f, "msgpack") as Uint8Array });
  }

  /** Lets time pass in ticks of 250 ms and collects what is done meanwhile. */
  pass(ms: number): Action[] {
    const all: Action[] = [];
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 250;
      all.push(...this.feed({ kind: "tick" }).actions);
    }
    return all;
  }

  live(): this {
    this.feed({ kind: "start" }).feed({ kind: "opened", hello: { token: "t", device: "d", cursor: 7 } });
    return this.receive(welcome).receive({ type: "synced", cursor: 9 });
  }

  get sent(): Frame[] {
    return sentIn(this.actions);
  }

  get status(): Status | undefined {
    return this.actions.filter((a) => a.kind === "status").at(-1)?.status;
  }

  did(kind: Action["kind"]): boolean {
    return this.actions.some((a) => a.kind === kind);
  }
}

function sentIn(actions: Action[]): Frame[] {
  return actions.flatMap((a) => {
    if (a.kind !== "send") return [];
    const got = decode(a.data, "msgpack");
    if (!got.ok) throw new Error("the machine sent something unreadable");
    return [got.frame];
  });
}

const welcome: Frame = { type: "welcome", user_id: "u", device_id: "d", heartbeat_s: 30, limits: { content_bytes: 1, frame_bytes: 1, sends_in_flight: 1 } };
const error = (code: number, more: object = {}): Frame => ({ type: "error", code, message: "why", ...more });

describe("from nothing to live", () => {
  test("open, hello with the cursor, welcome, synced", () => {
    const s = new Story().feed({ kind: "start" });
    expect(s.actions.map((a) => a.kind)).toEqual(["open", "status"]);
    s.feed({ kind: "opened", hello: { token: "t", device: "d", cursor: 7 } });
    expect(s.sent).toEqual([{ type: "hello", token: "t", device: "d", cursor: 7 }]);
    s.feed({ kind: "send", frame: { type: "ping" } });
    expect(s.actions, "nothing goes out before welcome").toEqual([]);
    expect(s.receive(welcome).status?.phase).toBe("syncing");
    s.receive({ type: "synced", cursor: 9 });
    expect(s.status?.phase).toBe("live");
    expect(s.actions.at(-1)).toEqual({ kind: "frame", frame: { type: "synced", cursor: 9 } });
  });

  test("a server that never answers is given up", () => {
    const s = new Story().feed({ kind: "start" });
    const done = s.pass(TIMES.connect);
    expect(done.map((a) => a.kind)).toEqual(["close", "status"]);
    expect(s.status).toMatchObject({ phase: "waiting", problem: { text: "The server does not answer." } });
  });
});

describe("waiting", () => {
  test("waits double up to the most, with a random half", () => {
    expect([0, 1, 2, 3].map((n) => backoff(n, 1))).toEqual([500, 1000, 2000, 4000]);
    expect(backoff(1, 0)).toBe(500);
    expect(backoff(100, 1)).toBe(BACKOFF.most);
  });

  test("every failure waits longer, and synced starts over", () => {
    const s = new Story().feed({ kind: "start" });
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      s.feed({ kind: "closed", code: 1006 });
      waits.push(s.status!.retryAt! - s.now);
      expect(s.pass(waits.at(-1)! + 250)).toEqual([{ kind: "open" }, { kind: "status", status: { phase: "connecting", failures: i + 1 } }]);
    }
    expect(waits).toEqual([375, 750, 1500]);
    s.feed({ kind: "opened", hello: { token: "t", device: "d" } }).receive(welcome).receive({ type: "synced", cursor: 1 });
    s.feed({ kind: "closed", code: 1006 });
    expect(s.status!.retryAt! - s.now).toBe(375);
  });

  test("going_away and retry_after_ms are obeyed, even by an impatient person", () => {
    const s = new Story().live().receive({ type: "going_away", reconnect_after_ms: 4000 });
    expect(s.did("close")).toBe(true);
    expect(s.status!.retryAt! - s.now).toBe(5000);
    expect(s.feed({ kind: "wake" }).did("open")).toBe(false);
    s.pass(5000);
    expect(s.did("open")).toBe(true);

    const t = new Story().live().receive(error(1307, { retryable: true, retry_after_ms: 9000 })).feed({ kind: "closed", code: 4307 });
    expect(t.status).toMatchObject({ retryAt: t.now + 9000, problem: { code: 1307 } });
  });

  test("a wake ends a wait", () => {
    const s = new Story().live().feed({ kind: "closed", code: 1006 });
    expect(s.feed({ kind: "wake" }).did("open")).toBe(true);
  });

  test("what a replaced socket says late changes nothing", () => {
    const s = new Story().live().feed({ kind: "closed", code: 1006 });
    expect(s.receive({ type: "pong" }).actions).toEqual([]);
    expect(s.feed({ kind: "closed", code: 1006 }).actions).toEqual([]);
  });
});

describe("heartbeat", () => {
  test("a ping at every heartbeat, reconnect after two without a byte", () => {
    const s = new Story().live();
    expect(sentIn(s.pass(29_750))).toEqual([]);
    expect(sentIn(s.pass(250))).toEqual([{ type: "ping" }]);
    s.receive({ type: "pong" });
    expect(sentIn(s.pass(59_750))).toEqual([{ type: "ping" }]);
    expect(s.pass(250).map((a) => a.kind)).toEqual(["close", "status"]);
    expect(s.status?.problem?.code).toBe(1306);
  });

  test("a ping is answered", () => {
    expect(new Story().live().receive({ type: "ping" }).sent).toEqual([{ type: "pong" }]);
  });

  test("after a sleep the connection must prove itself within seconds", () => {
    const s = new Story().live();
    expect(s.feed({ kind: "wake" }).actions, "just heard: no probe").toEqual([]);
    s.now += 40_000;
    expect(s.feed({ kind: "wake" }).sent).toEqual([{ type: "ping" }]);
    expect(s.pass(TIMES.probe).some((a) => a.kind === "close")).toBe(true);

    const t = new Story().live();
    t.now += 40_000;
    t.feed({ kind: "wake" }).receive({ type: "pong" });
    expect(t.pass(TIMES.probe)).toEqual([]);
  });
});

describe("errors", () => {
  test.each([1101, 1102, 1103, 1105])("E%i: the token is of no use, so it stops", (code) => {
    const s = new Story().feed({ kind: "start" }).feed({ kind: "opened", hello: { token: "t", device: "d" } }).receive(error(code));
    expect(s.status).toEqual({ phase: "stopped", problem: { code, text: "why" } });
    expect(s.pass(120_000)).toEqual([]);
    expect(s.feed({ kind: "start" }).did("open"), "a new token starts it again").toBe(true);
  });

  test("the close code alone says it too", () => {
    const s = new Story().feed({ kind: "start" }).feed({ kind: "opened", hello: { token: "t", device: "d" } }).feed({ kind: "closed", code: 4102 });
    expect(s.status).toMatchObject({ phase: "stopped", problem: { code: 1102 } });
  });

  test("an error about one message is no error of the connection", () => {
    const s = new Story().live().receive(error(1301, { retryable: true, retry_after_ms: 60_000, client_msg_id: "m" }));
    expect(s.actions).toEqual([{ kind: "frame", frame: expect.objectContaining({ client_msg_id: "m" }) }]);
    s.feed({ kind: "closed", code: 1006 });
    expect(s.status!.retryAt! - s.now).toBeLessThan(1000);
  });

  test("unreadable bytes end the connection, an unknown operation does not", () => {
    const s = new Story().live().feed({ kind: "bytes", data: Uint8Array.of(0x91) });
    expect(s.status).toMatchObject({ phase: "waiting", problem: { code: 1001 } });
    expect(new Story().live().feed({ kind: "bytes", data: Uint8Array.of(0x92, 0xcc, 0xc8, 1) }).actions).toEqual([]);
  });
});

test("stop closes and stays closed", () => {
  const s = new Story().live().feed({ kind: "stop" });
  expect(s.actions.map((a) => a.kind)).toEqual(["close", "status"]);
  expect(s.pass(60_000)).toEqual([]);
});
