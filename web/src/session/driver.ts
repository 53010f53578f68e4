// Runs the machine on a real WebSocket, a real clock and the browser's events.
// It owns both for as long as it is started, and decides nothing itself.

import { SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK, type FrameToClient, type FrameToEdge } from "../wire.gen";
import type { Format } from "../wire/codec";
import { Machine, type Action, type Hello, type Input, type Status } from "./machine";

const TICK_MS = 250;

export interface Handlers {
  /** Read for every new connection. */
  hello(): Promise<Hello>;
  /** Frames in the order they came. */
  frame(f: FrameToClient): void;
  status(s: Status): void;
}

export class Connection {
  private readonly machine: Machine;
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly forget = new AbortController();

  constructor(
    private readonly url: string,
    private readonly format: Format,
    private readonly handlers: Handlers,
  ) {
    this.machine = new Machine(format, Math.random);
  }

  start(): void {
    if (this.timer === undefined) this.listen();
    this.feed({ kind: "start" });
  }

  /** Ends the connection for good. */
  stop(): void {
    this.feed({ kind: "stop" });
    clearInterval(this.timer);
    this.forget.abort();
  }

  /** Ends a wait. */
  retryNow(): void {
    this.feed({ kind: "wake" });
  }

  /** Gives this connection up and, after a wait, opens another. */
  restart(why: string): void {
    this.feed({ kind: "lost", why });
  }

  get live(): boolean {
    return this.machine.carries();
  }

  /** Sends f, or drops it when the connection carries nothing. */
  send(f: FrameToEdge): void {
    this.feed({ kind: "send", frame: f });
  }

  private listen(): void {
    this.timer = setInterval(() => this.feed({ kind: "tick" }), TICK_MS);
    const { signal } = this.forget;
    const wake = () => document.visibilityState === "visible" && this.feed({ kind: "wake" });
    addEventListener("online", wake, { signal });
    addEventListener("focus", wake, { signal });
    document.addEventListener("visibilitychange", wake, { signal });
    addEventListener("offline", () => this.restart("There is no network."), { signal });
  }

  private feed(input: Input): void {
    for (const action of this.machine.step(input, Date.now())) this.act(action);
  }

  private act(a: Action): void {
    switch (a.kind) {
      case "open":
        return this.open();
      case "send":
        return this.socket?.send(a.data);
      case "close":
        return this.drop();
      case "frame":
        return this.handlers.frame(a.frame);
      case "status":
        return this.handlers.status(a.status);
    }
  }

  private open(): void {
    this.drop();
    const socket = new WebSocket(this.url, this.format === "json" ? SUBPROTOCOL_JSON : SUBPROTOCOL_MSGPACK);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    // Events of a socket that was replaced say nothing about its successor.
    const mine = (input: Input) => this.socket === socket && this.feed(input);
    socket.onopen = () =>
      this.handlers.hello().then(
        (hello) => mine({ kind: "opened", hello }),
        () => mine({ kind: "lost", why: "This browser does not open its local store." }),
      );
    socket.onmessage = (e: MessageEvent<string | ArrayBuffer>) =>
      mine({ kind: "bytes", data: typeof e.data === "string" ? e.data : new Uint8Array(e.data) });
    socket.onclose = (e) => mine({ kind: "closed", code: e.code });
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }
}
