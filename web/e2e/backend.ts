// What the stories run against: the fake server, or bin/godwit as a process of
// its own on a data directory of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FakeServer } from "./fake-server/server";

export const BINARY = process.env.GODWIT_BIN ?? fileURLToPath(new URL("../../bin/godwit", import.meta.url));
const SECRET = "a secret for the stories of the page, long enough";
const START_MS = 15_000;

export interface Backend {
  readonly url: string;
  /** The fake server behind it, for stories in which it misbehaves. */
  readonly fake?: FakeServer;
  start(): Promise<void>;
  /** Cuts every connection; a later start has what was stored before. */
  stop(): Promise<void>;
  /** Stops it and removes what it stored. */
  end(): Promise<void>;
}

export type Kind = "fake" | "godwit" | "remote";

/** devSignIn false: only tokens signed with tokenFor are let in. */
export function newBackend(kind: Kind, devSignIn: boolean): Backend {
  if (kind === "fake") return fakeBackend(devSignIn);
  return kind === "godwit" ? new Process(devSignIn) : remoteBackend();
}

export function tokenFor(user: string, expiresInS = 3600): string {
  const part = (v: unknown) => Buffer.from(JSON.stringify(v)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, iat: now, exp: now + expiresInS })}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}

function fakeBackend(devSignIn: boolean): Backend {
  const fake = new FakeServer(SECRET, devSignIn);
  return {
    fake,
    get url() {
      return fake.url;
    },
    start: () => fake.start(),
    stop: () => fake.stop(),
    end: () => fake.stop(),
  };
}

function remoteBackend(): Backend {
  const cannot = () => Promise.reject(new Error("a server named by GODWIT_URL cannot be stopped from here"));
  return { url: process.env.GODWIT_URL!, start: async () => {}, stop: cannot, end: async () => {} };
}

class Process implements Backend {
  private child: ChildProcess | null = null;
  private readonly data = mkdtempSync(join(tmpdir(), "godwit-e2e-"));
  private port = 0;
  private said = "";

  constructor(private readonly devSignIn: boolean) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    // Settings of whoever runs the stories are none of this server's.
    const env = Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith("GODWIT_")));
    if (!this.devSignIn) env.GODWIT_AUTH_HS256_SECRET = SECRET;
    const args = ["serve", "--data", this.data, "--listen", `127.0.0.1:${this.port}`, "--admin", "127.0.0.1:0"];
    const child = spawn(BINARY, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const out of [child.stdout, child.stderr]) out.on("data", (b: Buffer) => (this.said = (this.said + b.toString()).slice(-4000)));
    this.child = child;
    const until = Date.now() + START_MS;
    while (!(await fetch(`${this.url}/v1/server`).then((r) => r.ok, () => false))) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`godwit serve does not answer:\n${this.said}`);
      await new Promise((r) => setTimeout(r, 50));
    }
  }

  async stop(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.data, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const s = createServer();
  await new Promise<void>((done) => s.listen(0, "127.0.0.1", done));
  const { port } = s.address() as AddressInfo;
  await new Promise((done) => s.close(done));
  return port;
}
