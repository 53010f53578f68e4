// A user without a browser: sends many messages, or one at the right moment.

import { WebSocket } from "ws";
import { decode, encode } from "../src/wire/codec";
import { SUBPROTOCOL_MSGPACK, type Frame, type FrameToClient, type FrameToEdge } from "../src/wire.gen";
import { utf8 } from "../src/wire/bytes";

type Want<T extends FrameToClient["type"]> = Extract<FrameToClient, { type: T }>;

export class Bot {
  private readonly waiting: ((f: Frame) => boolean)[] = [];
  private n = 0;

  private constructor(
    private readonly socket: WebSocket,
    readonly user: string,
  ) {
    socket.on("message", (data: Buffer) => {
      const got = decode(new Uint8Array(data), "msgpack");
      if (!got.ok) throw new Error(`unreadable frame: E${got.error.code}`);
      for (const [i, w] of [...this.waiting.entries()].reverse()) if (w(got.frame)) this.waiting.splice(i, 1);
    });
  }

  static async connect(url: string, user: string): Promise<Bot> {
    const res = await fetch(`${url}/v1/dev/token`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user }) });
    const { token } = (await res.json()) as { token: string };
    const socket = new WebSocket(url.replace("http", "ws") + "/ws", SUBPROTOCOL_MSGPACK);
    await new Promise((done, failed) => socket.once("open", done).once("error", failed));
    const bot = new Bot(socket, user);
    const synced = bot.next("synced");
    bot.send({ type: "hello", token, device: "bot" });
    await synced;
    return bot;
  }

  send(f: FrameToEdge): void {
    this.socket.send(encode(f, "msgpack"));
  }

  next<T extends FrameToClient["type"]>(type: T, fits: (f: Want<T>) => boolean = () => true): Promise<Want<T>> {
    return new Promise((done) => {
      this.waiting.push((f) => {
        if (f.type !== type || !fits(f as Want<T>)) return false;
        done(f as Want<T>);
        return true;
      });
    });
  }

  /** Sends one message and returns the conversation once it is stored. */
  async say(where: { to: string } | { chat_id: string }, text: string): Promise<string> {
    const id = `bot-${this.user}-${++this.n}`;
    for (;;) {
      const ack = this.next("ack_sent", (f) => f.client_msg_id === id).then((f) => f.chat_id);
      const refused = this.next("error", (f) => f.client_msg_id === id);
      this.send({ type: "send_message", ...where, content: utf8(text), client_msg_id: id });
      const got = await Promise.race([ack, refused]);
      if (typeof got === "string") return got;
      if (!got.retryable) throw new Error(`E${got.code}: ${got.message}`);
      await new Promise((r) => setTimeout(r, got.retry_after_ms ?? 100));
    }
  }

  close(): void {
    this.socket.close();
  }
}
