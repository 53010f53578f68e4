// The words in which the stories are told.

import { test as base, expect, type Browser, type BrowserContextOptions, type Locator, type Page } from "@playwright/test";
import { randomBytes } from "node:crypto";
import { newBackend, type Backend, type Kind } from "./backend";

export interface Options {
  kind: Kind;
}

/** A person in front of a browser of their own. */
export class Person {
  constructor(
    readonly name: string,
    readonly page: Page,
  ) {}

  get messages(): Locator {
    return this.page.getByRole("region", { name: "Messages" });
  }

  get composer(): Locator {
    return this.page.getByRole("textbox", { name: /^Message to/ });
  }

  row(title: string): Locator {
    return this.page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: title });
  }

  bubble(text: string): Locator {
    return this.messages.locator("li.bubble").filter({ has: this.page.locator(".bubble-text", { hasText: exactly(text) }) });
  }

  /** The words of every bubble, from top to bottom. */
  texts(): Promise<string[]> {
    return this.messages.locator(".bubble-text").allInnerTexts();
  }

  async signIn(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByRole("textbox", { name: "Your name" }).fill(this.name);
    await this.page.getByRole("button", { name: "Start" }).click();
    await this.online();
  }

  async online(): Promise<void> {
    await expect(this.page.locator(".state")).toHaveAttribute("data-state", "online", { timeout: 20_000 });
  }

  async startChat(user: string): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).click();
    await this.page.getByRole("textbox", { name: "User name" }).fill(user);
    await this.page.getByRole("button", { name: "Open chat" }).click();
    await expect(this.page.getByRole("heading", { name: user, level: 2 })).toBeVisible();
  }

  async startGroup(name: string, members: string[]): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).click();
    await this.page.getByRole("button", { name: "Group", exact: true }).click();
    await this.page.getByRole("textbox", { name: "Name of the group" }).fill(name);
    await this.page.getByRole("textbox", { name: /^Members/ }).fill(members.join(" "));
    await this.page.getByRole("button", { name: "Create group" }).click();
    await expect(this.page.getByRole("heading", { name, level: 2 })).toBeVisible();
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
    await expect(this.bubble(text)).toBeVisible();
  }

  async expectTick(text: string, tick: "Sending" | "Sent" | "Delivered" | "Read"): Promise<void> {
    await expect(this.bubble(text).getByRole("img", { name: tick, exact: true })).toBeVisible();
  }
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
}

interface Fixtures {
  /** Opens a browser of their own for somebody; names never meet between stories. */
  person(name: string, options?: BrowserContextOptions): Promise<Person>;
}

interface WorkerFixtures extends Options {
  backend: Backend;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  kind: ["fake", { scope: "worker", option: true }],
  backend: [
    async ({ kind }, use) => {
      const b = newBackend(kind, true);
      await b.start();
      await use(b);
      await b.end();
    },
    { scope: "worker" },
  ],
  person: async ({ browser }, use) => {
    const suffix = randomBytes(2).toString("hex");
    const errors: string[] = [];
    const opened: { close(): Promise<void> }[] = [];
    await use(async (name, options) => {
      const page = await newPage(browser, errors, options);
      opened.push(page.context());
      return new Person(`${name}-${suffix}`, page);
    });
    for (const c of opened) await c.close();
    expect(errors, "errors on the page").toEqual([]);
  },
});

/** A page whose uncaught errors and policy violations fail the story. */
async function newPage(browser: Browser, errors: string[], options?: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1180, height: 760 }, ...options });
  const page = await context.newPage();
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && !/Failed to load resource|WebSocket connection|net::ERR/.test(m.text())) errors.push(m.text());
  });
  return page;
}

export { expect };
