// A server that speaks godwit's protocol from memory, for stories about the
// page alone: it can be told to misbehave in ways the real one rarely does.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer, type WebSocket } from "ws";
import { decode, encode, type Format } from "../../src/wire/codec";
import { CODES, type ErrorFrame, type Frame, type FrameToClient, type NewMessageFrame, type SendMessageFrame } from "../../src/wire.gen";
import { State, type Chat } from "./state";

const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const LIMITS = { content_bytes: 65536, frame_bytes: 70656, sends_in_flight: 64 };

interface Session {
  socket: WebSocket;
  format: Format;
  user: string;
  device: string;
}

export class FakeServer {
  readonly state = new State();
  /** What each client_msg_id was sent with, in the order of arrival, repetitions included. */
  readonly sends: string[] = [];
  /** Answers the next sends with these errors instead of storing them. */
  refuse: Partial<ErrorFrame>[] = [];
  heartbeatS = 30;
  private readonly sessions = new Set<Session>();
  private readonly sockets = new Set<Socket>();
  private http: Server | null = null;
  private port = 0;

  constructor(
    private readonly secret: string,
    private readonly devSignIn: boolean,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const http = createServer((req, res) => void this.request(req, res));
    const ws = new WebSocketServer({ server: http, path: "/ws", handleProtocols: (p) => [...p][0] ?? false });
    ws.on("connection", (socket) => this.connected(socket));
    http.on("connection", (s) => {
      this.sockets.add(s);
      s.on("close", () => this.sockets.delete(s));
    });
    await new Promise<void>((done) => http.listen(this.port, "127.0.0.1", done));
    this.port = (http.address() as AddressInfo).port;
    this.http = http;
  }

  /** Cuts every connection and closes the port; what is stored stays. */
  async stop(): Promise<void> {
    const http = this.http;
    this.http = null;
    for (const s of this.sockets) s.destroy();
    this.sessions.clear();
    await new Promise<void>((done) => (http ? http.close(() => done()) : done()));
  }

  /** Tells every session to leave and closes it. */
  goAway(reconnectAfterMs: number): void {
    for (const s of this.sessions) {
      this.send(s, { type: "going_away", reconnect_after_ms: reconnectAfterMs });
      s.socket.close(1001);
    }
  }

  sessionsOf(user: string): number {
    return [...this.sessions].filter((s) => s.user === user).length;
  }

  token(user: string, expiresInS = 3600): string {
    const part = (v: unknown) => Buffer.from(JSON.stringify(v)).toString("base64url");
    const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp: Math.floor(Date.now() / 1000) + expiresInS })}`;
    return `${body}.${this.sign(body)}`;
  }

  private sign(body: string): string {
    return createHmac("sha256", this.secret).update(body).digest("base64url");
  }

  /** The user of a token, or the error it deserves. */
  private verify(token: string): string | number {
    const [head, body, sig] = token.split(".");
    const want = Buffer.from(this.sign(`${head}.${body}`));
    const got = Buffer.from(sig ?? "");
    if (want.length !== got.length || !timingSafeEqual(want, got)) return 1102;
    const claims = JSON.parse(Buffer.from(body!, "base64url").toString()) as { sub: string; exp: number };
    return claims.exp * 1000 < Date.now() ? 1103 : claims.sub;
  }

  // WebSocket

  private connected(socket: WebSocket): void {
    const format: Format = socket.protocol.endsWith("json") ? "json" : "msgpack";
    let session: Session | null = null;
    socket.on("message", (data: Buffer, binary) => {
      const got = decode(binary ? new Uint8Array(data) : data.toString(), format);
      if (!got.ok) return socket.close(1007);
      if (session) this.receive(session, got.frame);
      else session = this.greet(socket, format, got.frame);
    });
    socket.on("close", () => session && this.sessions.delete(session));
  }

  private greet(socket: WebSocket, format: Format, f: Frame): Session | null {
    if (f.type !== "hello") return null;
    const user = this.verify(f.token ?? "");
    const session: Session = { socket, format, user: String(user), device: f.device ?? "default" };
    if (typeof user === "number") {
      this.send(session, this.error(user));
      socket.close(user + 3000);
      return null;
    }
    this.sessions.add(session);
    const welcome = { type: "welcome" as const, user_id: user, device_id: session.device, heartbeat_s: this.heartbeatS, limits: LIMITS };
    this.send(session, { ...welcome, ...(f.cursor === undefined ? {} : { cursor: f.cursor }) });
    for (const m of this.state.missed(user, session.device, f.cursor)) this.send(session, m);
    this.send(session, { type: "synced", cursor: this.state.counter(user) });
    return session;
  }

  private receive(s: Session, f: Frame): void {
    switch (f.type) {
      case "ping":
        return this.send(s, { type: "pong" });
      case "send_message":
        return this.message(s, f);
      case "ack_delivered":
        return this.receipt(s, f.chat_id, f.message_id, false);
      case "ack_read":
        return this.receipt(s, f.chat_id, f.last_read_message_id, true);
      case "typing":
        return this.push(this.state.chats.get(f.chat_id)!, { ...f, user_id: s.user }, s);
    }
  }

  private message(s: Session, f: SendMessageFrame): void {
    this.sends.push(f.client_msg_id);
    const refusal = this.refuse.shift();
    if (refusal) return this.send(s, { ...this.error(refusal.code ?? 1301), ...refusal, client_msg_id: f.client_msg_id });
    const chat = f.to ? this.state.direct(s.user, f.to) : this.state.chats.get(f.chat_id!);
    if (!chat?.members.includes(s.user)) return this.send(s, { ...this.error(chat ? 1203 : 1201), client_msg_id: f.client_msg_id });
    const { entry, fresh } = this.state.append(chat, s.user, f.content, f.client_msg_id, f.kind);
    this.send(s, { type: "ack_sent", client_msg_id: f.client_msg_id, chat_id: chat.id, message_id: entry.message_id, created_at: entry.created_at });
    if (fresh) this.push(chat, entry, s);
  }

  private receipt(s: Session, chatId: string, seq: number, read: boolean): void {
    const chat = this.state.chats.get(chatId);
    if (!chat?.members.includes(s.user) || !this.state.receipt(chat, s.user, s.device, seq, read)) return;
    this.push(chat, { type: "status_update", chat_id: chatId, message_id: seq, user_id: s.user, status: read ? "read" : "delivered" }, s);
  }

  private push(chat: Chat, f: FrameToClient, but: Session): void {
    for (const s of this.sessions) if (s !== but && chat.members.includes(s.user)) this.send(s, f);
  }

  private send(s: Session, f: FrameToClient): void {
    s.socket.send(encode(f, s.format));
  }

  private error(code: number): ErrorFrame {
    const spec = CODES.find((c) => c.code === code)!;
    return { type: "error", code, message: spec.text, ...(spec.retryable ? { retryable: true } : {}) };
  }

  // HTTP

  private async request(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url!, this.url);
    if (!url.pathname.startsWith("/v1/")) return file(url.pathname, res);
    let text = "";
    for await (const chunk of req) text += chunk as string;
    const [status, body] = this.answer(req, url, text);
    res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  }

  private answer(req: IncomingMessage, url: URL, text: string): [number, unknown] {
    if (url.pathname === "/v1/server") return [200, { name: "godwit", version: "fake", dev_sign_in: this.devSignIn, limits: LIMITS, heartbeat_s: this.heartbeatS }];
    if (url.pathname === "/v1/dev/token" && this.devSignIn) {
      const { user } = JSON.parse(text) as { user: string };
      return [200, { token: this.token(user), user_id: user, expires_at: new Date(Date.now() + 3_600_000).toISOString() }];
    }
    const user = this.verify((req.headers.authorization ?? "").replace("Bearer ", ""));
    if (typeof user === "number") return problem(user);
    if (url.pathname === "/v1/chats") return [200, { chats: this.state.chatsOf(user).map((c) => chatJSON(c, user)) }];
    if (url.pathname === "/v1/groups") {
      const { name, member_ids } = JSON.parse(text) as { name: string; member_ids: string[] };
      const chat = this.state.group(name, [user, ...member_ids]);
      return [201, { chat_id: chat.id, name, member_ids: chat.members }];
    }
    const chat = this.state.chats.get(url.pathname.split("/")[3]!);
    if (!chat) return problem(1201);
    return chat.members.includes(user) ? [200, historyJSON(chat, url.searchParams)] : problem(1203);
  }
}

function problem(code: number): [number, unknown] {
  const spec = CODES.find((c) => c.code === code)!;
  return [spec.http, { title: spec.text, status: spec.http, code, detail: spec.todo }];
}

function messageJSON(m: NewMessageFrame): object {
  const { type: _, ...rest } = m;
  return { ...rest, content: Buffer.from(m.content).toString() };
}

function chatJSON(c: Chat, user: string): object {
  const last = c.log.at(-1);
  const peer = c.kind === "direct" ? { peer_id: c.members.find((m) => m !== user) } : { name: c.name };
  const read = c.cursors.get(user)!.read;
  const common = { chat_id: c.id, kind: c.kind, last_message_id: c.log.length, last_read_message_id: read, unread: c.log.length - read, updated_at: last?.created_at ?? 0 };
  return { ...common, ...peer, ...(last ? { last_message: messageJSON(last) } : {}) };
}

function historyJSON(c: Chat, q: URLSearchParams): object {
  const limit = Number(q.get("limit") ?? 50);
  const after = q.get("after");
  const before = Number(q.get("before") ?? 0) || c.log.length + 1;
  const list = after === null ? c.log.slice(Math.max(0, before - 1 - limit), before - 1).reverse() : c.log.slice(Number(after), Number(after) + limit);
  const end = list.at(-1)?.message_id ?? 0;
  const more = list.length > 0 && (after === null ? end > 1 : end < c.log.length);
  const newest = before > c.log.length;
  return {
    messages: list.map(messageJSON),
    ...(more ? { next_cursor: String(end) } : {}),
    ...(newest ? { cursors: [...c.cursors].map(([user_id, cur]) => ({ user_id, ...cur })) } : {}),
  };
}

function file(pathname: string, res: ServerResponse): void {
  const path = join(DIST, normalize(pathname === "/" ? "/index.html" : pathname));
  if (!existsSync(path) || !statSync(path).isFile()) {
    res.writeHead(404).end();
    return;
  }
  res.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": CSP });
  createReadStream(path).pipe(res);
}
