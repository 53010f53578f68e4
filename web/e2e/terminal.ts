// A person at a terminal: `godwit chat` as a process of its own. Without a
// terminal under it the command prints every message as a line and sends every
// line it reads.

import { spawn } from "node:child_process";
import { BINARY } from "./backend";

export class Terminal {
  /** What was printed: "sender: text", in the order it came. */
  readonly lines: string[] = [];
  private warnings = "";
  private readonly child;

  constructor(url: string, user: string, chatId: string) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith("GODWIT_")));
    this.child = spawn(BINARY, ["chat", "--as", user, "--chat", chatId, "--server", url], { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stderr.on("data", (b: Buffer) => (this.warnings += b.toString()));
    let rest = "";
    this.child.stdout.setEncoding("utf8").on("data", (s: string) => {
      const parts = (rest + s).split("\n");
      rest = parts.pop()!;
      this.lines.push(...parts);
    });
  }

  say(text: string): void {
    this.child.stdin.write(text + "\n");
  }

  /** The end of what is typed: the command leaves once everything is stored. */
  async leave(): Promise<void> {
    const code = new Promise((done) => this.child.once("exit", done));
    this.child.stdin.end();
    if ((await code) !== 0) throw new Error(`godwit chat failed:\n${this.warnings}`);
  }

  /** Ends it whatever it does. */
  kill(): void {
    this.child.kill("SIGKILL");
  }
}
