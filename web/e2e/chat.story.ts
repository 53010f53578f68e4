import { Bot } from "./bot";
import { expect, test } from "./story";

test("two people chat: stored, delivered, read, and unread counts", async ({ backend, person }) => {
  const alice = await person("alice");
  const bob = await person("bob");
  await alice.signIn(backend.url);
  await expect(alice.page.locator(".devtag")).toBeVisible();

  // Nobody is there yet: the message waits at the server.
  await alice.startChat(bob.name);
  await alice.say("Are you there?");
  await alice.expectTick("Are you there?", "Sent");

  // Bob comes: delivered, not read, because he has not opened it.
  await bob.signIn(backend.url);
  await expect(bob.row(alice.name)).toContainText("Are you there?");
  await expect(bob.row(alice.name).locator(".badge")).toHaveText("1 unread");
  await expect(bob.page).toHaveTitle("(1) godwit");
  await alice.expectTick("Are you there?", "Delivered");

  await bob.row(alice.name).click();
  await expect(bob.bubble("Are you there?")).toBeVisible();
  await alice.expectTick("Are you there?", "Read");
  await expect(bob.row(alice.name).locator(".badge")).toHaveCount(0);
  await expect(bob.page).toHaveTitle("godwit");

  // Both look: it is read as soon as it is there. Typing is seen meanwhile.
  await bob.composer.pressSequentially("Yes");
  await expect(alice.page.locator(".chat-typing")).toHaveText("typing…");
  await bob.composer.press("Enter");
  await expect(alice.bubble("Yes")).toBeVisible();
  await expect(alice.page.locator(".chat-typing")).toHaveCount(0);
  await bob.expectTick("Yes", "Read");
  expect(await alice.texts()).toEqual(["Are you there?", "Yes"]);
});

test("a group: everybody gets it, names stand above the bubbles", async ({ backend, person }) => {
  const [alice, bob, carol] = [await person("alice"), await person("bob"), await person("carol")];
  for (const p of [alice, bob, carol]) await p.signIn(backend.url);
  await alice.startGroup("Weekend", [bob.name, carol.name]);
  await alice.say("Sunday at ten?");

  for (const p of [bob, carol]) {
    await expect(p.row("Weekend")).toContainText("Sunday at ten?");
    await p.row("Weekend").click();
    await expect(p.bubble("Sunday at ten?")).toContainText(alice.name);
  }
  await alice.expectTick("Sunday at ten?", "Read");
  await expect(alice.page.locator(".chat-sub")).toContainText("you");
});

test("the mark over new messages goes when one answers, or has read and comes again", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  const carol = await Bot.connect(backend.url, "carol-" + alice.name);
  for (const text of ["one", "two"]) await bob.say({ to: alice.name }, text);
  await carol.say({ to: alice.name }, "hello");
  const mark = alice.messages.locator(".unread-mark");
  const read = (user: string) => expect(alice.row(user).locator(".badge")).toHaveCount(0);

  await alice.row(bob.user).click();
  await expect(mark).toBeVisible();
  await alice.say("an answer");
  await expect(mark).toHaveCount(0);
  await alice.expectTick("an answer", "Sent");
  await bob.say({ to: alice.name }, "three");
  await expect(alice.bubble("three")).toBeVisible();
  await expect(mark, "and does not come back").toHaveCount(0);

  await alice.row(carol.user).click();
  await expect(alice.bubble("hello")).toBeVisible();
  await expect(mark).toBeVisible();
  await read(carol.user);
  await bob.say({ to: alice.name }, "four");
  await alice.row(bob.user).click();
  await expect(alice.bubble("four")).toBeVisible();
  await expect(mark).toBeVisible();
  await read(bob.user);
  await alice.row(carol.user).click();
  await expect(alice.bubble("hello")).toBeVisible();
  await expect(mark, "nothing is unread").toHaveCount(0);
  bob.close();
  carol.close();
});

test("what strangers write is text, and addresses are links that tell nothing", async ({ backend, person }) => {
  const bob = await person("bob");
  await bob.signIn(backend.url);
  const mallory = await Bot.connect(backend.url, "mallory-" + bob.name);
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  await mallory.say({ to: bob.name }, evil);
  await mallory.say({ to: bob.name }, "see https://example.org/a?b=1. or javascript:alert(1)");
  await bob.row(mallory.user).click();
  await expect(bob.bubble(evil)).toBeVisible();
  await expect(bob.messages.locator("img, script")).toHaveCount(0);
  expect(await bob.page.title()).not.toContain("owned");
  const link = bob.messages.getByRole("link");
  await expect(link).toHaveCount(1);
  await expect(link).toHaveAttribute("href", "https://example.org/a?b=1");
  await expect(link).toHaveAttribute("rel", /noopener noreferrer/);
  mallory.close();
});

test("the text form of the protocol, for debugging", async ({ backend, person }) => {
  const alice = await person("alice");
  const frames: string[] = [];
  alice.page.on("websocket", (ws) => ws.on("framesent", (f) => frames.push(String(f.payload))));
  await alice.signIn(backend.url + "/?format=json");
  await alice.startChat("bob-of-" + alice.name);
  await alice.say("plain");
  await alice.expectTick("plain", "Sent");
  expect(frames.some((f) => f.startsWith('{"type":"send_message"') && f.includes('"content":"plain"'))).toBe(true);
});

test("everything with the keyboard alone", async ({ backend, person }) => {
  const alice = await person("alice");
  const { page } = alice;
  await alice.signIn(backend.url);
  const bots = [];
  for (const name of ["ann", "ben"]) {
    const bot = await Bot.connect(backend.url, `${name}-${alice.name}`);
    await bot.say({ to: alice.name }, `hello from ${name}`);
    bots.push(bot);
  }
  await expect(alice.row(bots[0]!.user)).toBeVisible();
  await expect(alice.row(bots[1]!.user)).toBeVisible();

  // Into the list, down, open.
  await page.getByRole("searchbox").focus();
  await page.keyboard.press("ArrowDown");
  await expect(alice.row(bots[1]!.user)).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(alice.row(bots[0]!.user)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(alice.bubble("hello from ann")).toBeVisible();

  // The composer has the focus; Shift+Enter breaks the line, Enter sends.
  await expect(alice.composer).toBeFocused();
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await expect(alice.messages.locator(".bubble-text").last()).toHaveText("one\ntwo", { useInnerText: true });

  // Escape goes back to where one came from.
  await page.keyboard.press("Escape");
  await expect(alice.composer).toHaveCount(0);
  await expect(alice.row(bots[0]!.user)).toBeFocused();

  // A dialog keeps the focus until Escape.
  await page.getByRole("button", { name: "New conversation" }).press("Enter");
  await expect(page.getByRole("textbox", { name: "User name" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "New conversation" })).toBeFocused();
  for (const b of bots) b.close();
});

test("from the sign-in to the second conversation without a mouse", async ({ backend, person }) => {
  const alice = await person("alice");
  const { page } = alice;
  const { keyboard } = page;
  const [ann, ben] = [`ann-${alice.name}`, `ben-${alice.name}`];
  const bot = await Bot.connect(backend.url, ann);
  await bot.say({ to: alice.name }, "hello");
  await page.goto(backend.url);
  await expect(page.getByRole("textbox", { name: "Your name" })).toBeFocused();
  await keyboard.type(alice.name);
  await keyboard.press("Enter");
  await alice.online();

  // The first stop is a new conversation; its dialog has the focus.
  await keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "New conversation" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(page.getByRole("textbox", { name: "User name" })).toBeFocused();
  await keyboard.type(ben);
  await keyboard.press("Enter");
  await expect(alice.composer).toBeFocused();
  await keyboard.type("first");
  await keyboard.press("Enter");
  await alice.expectTick("first", "Sent");

  // Back to its row, on to the next one, answer there.
  await keyboard.press("Escape");
  await expect(alice.row(ben)).toBeFocused();
  await keyboard.press("ArrowDown");
  await expect(alice.row(ann)).toBeFocused();
  const ring = await alice.row(ann).evaluate((el) => getComputedStyle(el).outlineStyle);
  expect(ring, "one sees where one is").toBe("solid");
  await keyboard.press("Enter");
  await expect(alice.bubble("hello")).toBeVisible();
  await expect(alice.composer).toBeFocused();
  await keyboard.type("second");
  await keyboard.press("Enter");
  await alice.expectTick("second", "Sent");
  await keyboard.press("Shift+Tab");
  await expect(alice.messages, "to be scrolled with the arrows").toBeFocused();
  bot.close();
});

test("a phone shows the list or a chat, and screen readers hear of news", async ({ backend, person }) => {
  const alice = await person("alice", { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  const chat = await bob.say({ to: alice.name }, "hi");
  await alice.row(bob.user).tap();
  await expect(alice.bubble("hi")).toBeVisible();
  await expect(alice.row(bob.user)).toBeHidden();
  await bob.say({ chat_id: chat }, "are you on the train?");
  await expect(alice.page.locator("[data-live=messages]")).toHaveText(`${bob.user}: are you on the train?`);
  await alice.page.getByRole("button", { name: "Back to the list" }).tap();
  await expect(alice.row(bob.user)).toBeVisible();
  await expect(alice.composer).toHaveCount(0);
  const wide = await alice.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(wide, "nothing is wider than the screen").toBe(false);
  bob.close();
});
