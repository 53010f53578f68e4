// The client's side of a connection as a pure machine: bytes, ticks and wishes
// go in, actions come out. It has no socket, no clock and no random source of
// its own, so a test can walk it through a day in a millisecond.

import { decode, encode, type Format } from "../wire/codec";
import { CODE, type Frame, type FrameToClient, type FrameToEdge } from "../wire.gen";
import { backoff } from "./backoff";

/** Where the connection is. Only "syncing" and "live" carry messages. */
export type Phase = "idle" | "connecting" | "greeting" | "syncing" | "live" | "waiting" | "stopped";

/** What is wrong, for a person. code is 0 when the network gave none. */
export interface Problem {
  code: number;
  text: string;
}

/** What the rest of the page may know about the connection. */
export interface Status {
  phase: Phase;
  /** In "waiting": when the next attempt starts. */
  retryAt?: number;
  /** Attempts that failed since the last time it was live; absent at first. */
  failures?: number;
  /** Why the last connection ended; in "stopped", why it will not come back. */
  problem?: Problem;
}

/** What proves who we are; read freshly for every connection. */
export interface Hello {
  token: string;
  device: string;
  cursor?: number;
}

export type Input =
  | { kind: "start" }
  | { kind: "opened"; hello: Hello }
  | { kind: "bytes"; data: Uint8Array | string }
  | { kind: "closed"; code: number }
  | { kind: "tick" }
  /** The person looks at the page again, asks to retry, or the network is back. */
  | { kind: "wake" }
  /** The driver knows that this connection is of no use any more. */
  | { kind: "lost"; why: string }
  | { kind: "send"; frame: FrameToEdge }
  | { kind: "stop" };

export type Action =
  | { kind: "open" }
  | { kind: "send"; data: Uint8Array<ArrayBuffer> | string }
  | { kind: "close" }
  | { kind: "frame"; frame: FrameToClient }
  | { kind: "status"; status: Status };

/** Errors that say that the token is of no use: asking again will not help. */
const AUTH_CODES: ReadonlySet<number> = new Set([CODE.unauthenticated, CODE.token_invalid, CODE.token_expired, CODE.token_too_long]);

/** The close code of a fatal error is its number and this. */
const CLOSE_BASE = 3000;

/** Milliseconds the machine allows for things. */
export const TIMES = {
  /** From "open" to welcome. */
  connect: 10_000,
  /** For an answer to the ping that a wake sends. */
  probe: 5_000,
  /** A connection heard within this time needs no probe. */
  fresh: 3_000,
  /** The heartbeat until welcome names one. */
  heartbeat: 30_000,
} as const;

export class Machine {
  private phase: Phase = "idle";
  private attempts = 0;
  private retryAt = 0;
  private notBefore = 0;
  private problem: Problem | undefined;
  private deadline = 0; // connecting and greeting: give up then
  private heard = 0; // when the last bytes came
  private nextPing = 0;
  private heartbeat: number = TIMES.heartbeat;
  private probeBy = 0; // 0: no probe is out
  private out: Action[] = [];

  constructor(
    private readonly format: Format,
    private readonly random: () => number,
  ) {}

  /** Feeds one input at time now (milliseconds) and returns what to do, in order. */
  step(input: Input, now: number): Action[] {
    this.out = [];
    switch (input.kind) {
      case "start":
        if (this.phase === "idle" || this.phase === "stopped") this.open(now);
        break;
      case "opened":
        if (this.phase === "connecting") this.greet(input.hello);
        break;
      case "bytes":
        if (this.connected()) this.receive(input.data, now);
        break;
      case "closed":
        this.closed(input.code, now);
        break;
      case "tick":
        this.tick(now);
        break;
      case "wake":
        this.wake(now);
        break;
      case "lost":
        if (this.connected()) this.lose(now, { code: 0, text: input.why });
        break;
      case "send":
        if (this.carries()) this.send(input.frame);
        break;
      case "stop":
        if (this.connected()) this.out.push({ kind: "close" });
        this.enter("idle");
        break;
    }
    return this.out;
  }

  /** Whether frames sent now would go out. */
  carries(): boolean {
    return this.phase === "syncing" || this.phase === "live";
  }

  private connected(): boolean {
    return this.phase === "connecting" || this.phase === "greeting" || this.carries();
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    const status: Status = { phase };
    if (phase === "waiting") status.retryAt = this.retryAt;
    if (this.attempts > 0) status.failures = this.attempts;
    if ((phase === "waiting" || phase === "stopped") && this.problem) status.problem = this.problem;
    this.out.push({ kind: "status", status });
  }

  private send(frame: FrameToEdge): void {
    this.out.push({ kind: "send", data: encode(frame, this.format) });
  }

  private open(now: number): void {
    this.deadline = now + TIMES.connect;
    this.probeBy = 0;
    this.notBefore = 0;
    this.problem = undefined;
    this.out.push({ kind: "open" });
    this.enter("connecting");
  }

  private greet(hello: Hello): void {
    this.send({ type: "hello", ...hello });
    this.enter("greeting");
  }

  private receive(data: Uint8Array | string, now: number): void {
    this.heard = now;
    this.probeBy = 0;
    const got = decode(data, this.format);
    if (!got.ok) {
      // An operation of a later version is passed over; bytes that cannot be
      // read mean that what follows cannot be trusted either.
      if (got.error.code === CODE.unknown_op) return;
      this.lose(now, { code: got.error.code, text: "The server sent something unreadable." });
      return;
    }
    this.frame(got.frame, now);
  }

  private frame(f: Frame, now: number): void {
    switch (f.type) {
      case "welcome":
        if (this.phase !== "greeting") return;
        this.heartbeat = (f.heartbeat_s || 30) * 1000;
        this.nextPing = now + this.heartbeat;
        this.enter("syncing");
        break;
      case "synced":
        if (this.phase === "syncing") {
          this.attempts = 0;
          this.enter("live");
        }
        break;
      case "ping":
        this.send({ type: "pong" });
        return;
      case "pong":
        return;
      case "going_away":
        this.notBefore = now + f.reconnect_after_ms * (1 + this.random() / 2);
        this.lose(now, { code: CODE.going_away, text: "The server is restarting." });
        return;
      case "error":
        // The close that may follow says nothing more than this does.
        if (!f.client_msg_id) {
          this.problem = { code: f.code, text: f.message };
          if (f.retry_after_ms) this.notBefore = now + f.retry_after_ms;
        }
        if (AUTH_CODES.has(f.code)) {
          this.refuse();
          return;
        }
        break;
    }
    this.out.push({ kind: "frame", frame: f as FrameToClient });
  }

  private closed(code: number, now: number): void {
    if (!this.connected()) return;
    if (AUTH_CODES.has(code - CLOSE_BASE)) {
      this.problem ??= { code: code - CLOSE_BASE, text: "The server did not accept this sign-in." };
      this.enter("stopped");
      return;
    }
    this.wait(now);
  }

  private refuse(): void {
    this.out.push({ kind: "close" });
    this.enter("stopped");
  }

  private lose(now: number, problem: Problem): void {
    this.problem = problem;
    this.out.push({ kind: "close" });
    this.wait(now);
  }

  private wait(now: number): void {
    // Told when to come back, we come then; otherwise we back off.
    this.retryAt = this.notBefore > now ? this.notBefore : now + backoff(this.attempts, this.random());
    this.attempts++;
    this.enter("waiting");
  }

  private tick(now: number): void {
    switch (this.phase) {
      case "waiting":
        if (now >= this.retryAt) this.open(now);
        break;
      case "connecting":
      case "greeting":
        if (now >= this.deadline) this.lose(now, { code: 0, text: "The server does not answer." });
        break;
      case "syncing":
      case "live":
        if (now - this.heard >= 2 * this.heartbeat || (this.probeBy > 0 && now >= this.probeBy)) {
          this.lose(now, { code: CODE.heartbeat_missed, text: "The connection went silent." });
        } else if (now >= this.nextPing) {
          this.nextPing = now + this.heartbeat;
          this.send({ type: "ping" });
        }
        break;
    }
  }

  private wake(now: number): void {
    if (this.phase === "waiting" && now >= this.notBefore) {
      this.open(now);
    } else if (this.carries() && now - this.heard > TIMES.fresh && this.probeBy === 0) {
      this.probeBy = now + TIMES.probe;
      this.nextPing = now + this.heartbeat;
      this.send({ type: "ping" });
    }
  }
}
