import { Bot } from "./bot";
import { expect, test } from "./story";

test("without a network: messages wait, and arrive once and in order", async ({ backend, person }) => {
  const alice = await person("alice");
  const bob = await person("bob");
  await alice.signIn(backend.url);
  await bob.signIn(backend.url);
  await alice.startChat(bob.name);
  await alice.say("before");
  await alice.expectTick("before", "Delivered");
  await bob.row(alice.name).click();

  await alice.page.context().setOffline(true);
  await expect(alice.page.locator(".state")).toHaveText("Offline");
  await expect(alice.page.locator(".conversation .banner")).toContainText(/Trying again in \d+ s/);
  const written = Array.from({ length: 8 }, (_, i) => `offline ${i + 1}`);
  for (const text of written) await alice.say(text);
  await alice.expectTick("offline 8", "Sending");
  await bob.say("from the other side");

  await alice.page.context().setOffline(false);
  await alice.online();
  await expect(alice.bubble("from the other side")).toBeVisible();
  for (const text of written) await alice.expectTick(text, "Read");
  await expect(bob.bubble("offline 8")).toBeVisible();
  const order = ["before", "from the other side", ...written];
  expect(await bob.texts()).toEqual(order);
  expect(await alice.texts()).toEqual(order);
});

test("the server goes and comes back: nothing is lost, nothing twice", async ({ backend, person }) => {
  test.skip(!!process.env.GODWIT_URL, "a server that is not ours cannot be stopped");
  const alice = await person("alice");
  const bob = await person("bob");
  await alice.signIn(backend.url);
  await bob.signIn(backend.url);
  await alice.startChat(bob.name);
  await alice.say("one");
  await alice.expectTick("one", "Delivered");
  await bob.row(alice.name).click();
  await expect(bob.bubble("one")).toBeVisible();

  await backend.stop();
  await expect(alice.page.locator(".conversation .banner")).toContainText(/Trying again in \d+ s/);
  await expect(alice.page.locator("[data-live=state]")).toHaveText("Connection: Offline");
  await alice.say("two");
  await alice.say("three");
  await bob.say("four");

  await backend.start();
  await alice.page.getByRole("button", { name: "Retry now" }).click({ timeout: 1_000 }).catch(() => {}); // it may be back already
  await alice.online();
  await bob.online();
  for (const p of [alice, bob]) {
    for (const text of ["one", "two", "three", "four"]) await expect(p.bubble(text)).toHaveCount(1);
  }
  await alice.expectTick("three", "Read");
  await bob.expectTick("four", "Read");
  expect(await alice.texts()).toEqual(await bob.texts());
  const mine = (await alice.texts()).filter((t) => t !== "four");
  expect(mine).toEqual(["one", "two", "three"]);
});

test("a reload shows the screen from the local store, without the server too", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  await bob.say({ to: alice.name }, "kept");
  await alice.row(bob.user).click();
  await alice.say("mine");
  await alice.expectTick("mine", "Sent");

  // The page itself comes from the server; everything else is refused.
  await alice.page.route("**/v1/**", (r) => r.abort());
  await alice.page.routeWebSocket("**/ws", (ws) => ws.close());
  await alice.page.reload();
  await expect(alice.bubble("kept")).toBeVisible();
  await expect(alice.bubble("mine")).toBeVisible();
  await expect(alice.page.locator(".state")).toContainText(/Offline|Connecting/);
  await alice.say("written meanwhile");
  await alice.expectTick("written meanwhile", "Sending");

  await alice.page.reload();
  await expect(alice.bubble("written meanwhile")).toBeVisible();
  await alice.page.unrouteAll();
  await alice.page.routeWebSocket("**/ws", (ws) => void ws.connectToServer());
  const got = bob.next("new_message", (f) => new TextDecoder().decode(f.content) === "written meanwhile");
  await alice.page.reload();
  await got;
  await alice.expectTick("written meanwhile", "Sent");
  bob.close();
});

test("two tabs of one person show the same and send once", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  await bob.say({ to: alice.name }, "for both");
  const second = await alice.page.context().newPage();
  await second.goto(backend.url);
  await second.getByRole("link").filter({ hasText: bob.user }).click();
  await expect(second.locator(".bubble-text")).toHaveText(["for both"]);

  await alice.row(bob.user).click();
  await alice.say("from the first tab");
  await expect(second.locator(".bubble-text")).toHaveText(["for both", "from the first tab"]);
  await second.getByRole("textbox", { name: /^Message to/ }).fill("from the second");
  await second.keyboard.press("Enter");
  await alice.expectTick("from the second", "Sent");
  expect(await alice.texts()).toEqual(["for both", "from the first tab", "from the second"]);
  bob.close();
});

test("history comes while scrolling up, and the place is kept", async ({ backend, person }) => {
  test.slow();
  const alice = await person("alice");
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  const many = 320;
  let chat = "";
  for (let i = 1; i <= many; i++) chat = await bob.say(chat ? { chat_id: chat } : { to: alice.name }, `line ${i}`);

  // So much is unread that it opens where reading stopped.
  await alice.signIn(backend.url);
  await alice.row(bob.user).click();
  await expect(alice.messages.locator(".unread-mark")).toBeInViewport();
  await alice.page.getByRole("button", { name: "Go to the newest message" }).click();
  await expect(alice.bubble(`line ${many}`)).toBeVisible();
  await expect(alice.row(bob.user).locator(".badge")).toHaveCount(0);

  // Up to the first one, and what comes above does not move what is there.
  await alice.messages.hover();
  const tops = [many];
  const up = async () => {
    await alice.page.mouse.wheel(0, -700);
    tops.push(Number((await topLine(alice.messages)).slice("line ".length)));
    return tops.at(-1);
  };
  await expect.poll(up, { intervals: [40], timeout: 30_000 }).toBe(1);
  expect(tops, "always upwards").toEqual([...tops].sort((x, y) => y - x));
  const texts = await alice.texts();
  expect(texts).toEqual(texts.map((_, i) => `line ${i + 1}`));
  expect(texts.length, "only a part is drawn").toBeLessThan(300);

  // A new message does not pull one away; the button leads to it.
  const top = await topLine(alice.messages);
  await bob.say({ chat_id: chat }, "the newest");
  await expect(alice.row(bob.user)).toContainText("the newest");
  expect(await topLine(alice.messages)).toBe(top);
  await alice.page.getByRole("button", { name: "Go to the newest message" }).click();
  await expect(alice.bubble("the newest")).toBeInViewport();
  bob.close();
});

/** The words that stand highest on the screen. */
function topLine(messages: import("@playwright/test").Locator): Promise<string> {
  return messages.evaluate((el) => {
    const top = el.getBoundingClientRect().top;
    const first = [...el.querySelectorAll(".bubble")].find((b) => b.getBoundingClientRect().bottom > top);
    return first?.querySelector(".bubble-text")?.textContent ?? "";
  });
}
