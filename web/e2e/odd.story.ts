// Words and names that are longer, shorter or of another script than one thinks of.
import { Bot } from "./bot";
import { expect, test, type Person } from "./story";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** What is cut off at the side of the screen, or of the pane it stands in. */
function overflowing(p: Person): Promise<string[]> {
  return p.page.evaluate(() => [...document.querySelectorAll<HTMLElement>("body *")].filter((el) => el.checkVisibility() && el.getBoundingClientRect().right > innerWidth + 1 && !el.closest(".unseen")).map((el) => el.outerHTML.slice(0, 80)));
}

test("long names, endless words and little space", async ({ backend, person }) => {
  const alice = await person("alice-of-a-family-with-a-very-long-name", PHONE);
  const { page } = alice;
  await alice.signIn(backend.url);
  await expect(page.locator(".devtag"), "an own long name does not push it away").toBeInViewport({ ratio: 1 });
  expect(await overflowing(alice)).toEqual([]);
  const long = await Bot.connect(backend.url, `Professor-Doktor-Maximiliane-von-${alice.name.slice(-4)}`);
  const word = "Donaudampfschifffahrtsgesellschaft".repeat(8);
  await long.say({ to: alice.name }, word);
  await long.say({ to: alice.name }, "https://example.org/" + "abcdef0123456789/".repeat(12));
  await alice.row(long.user).click();
  await expect(alice.bubble(word)).toBeVisible();
  expect(await overflowing(alice)).toEqual([]);
  await page.getByRole("button", { name: "Back to the list" }).click();
  const name = "A name for a group of friends who cannot agree on one";
  await alice.startGroup(name, [long.user]);
  const chat = decodeURIComponent(new URL(page.url()).hash.slice("#/c/".length));
  long.send({ type: "typing", chat_id: chat, state: "start" });
  const typing = page.locator(".chat-typing");
  await expect(typing).toContainText("is typing…");
  expect(await typing.evaluate((el) => el.scrollWidth <= el.clientWidth), "one sees that somebody is typing").toBe(true);
  expect(await overflowing(alice)).toEqual([]);
  long.close();
});

test("scripts from right to left keep their order among others", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const layla = await Bot.connect(backend.url, `ليلى-${alice.name}`);
  const text = "مرحبا، وصلت الرسالة\nand this in English";
  await layla.say({ to: alice.name }, text);
  await expect(alice.row("ليلى").locator(".row-preview")).toHaveCSS("direction", "rtl");
  await expect(alice.row("ليلى").locator(".row-title")).toHaveCSS("direction", "rtl");
  await alice.row("ليلى").click();
  const words = alice.messages.locator(".bubble-text");
  await expect(words).toBeVisible();
  // The first line ends at the right, the second begins at the left.
  const [arabic, english] = await words.evaluate((el) => {
    const node = document.createTreeWalker(el, NodeFilter.SHOW_TEXT).nextNode()!;
    const rect = (from: number, to: number) => {
      const r = document.createRange();
      r.setStart(node, from);
      r.setEnd(node, to);
      return r.getBoundingClientRect();
    };
    const cut = node.textContent!.indexOf("\n");
    return [rect(0, 1).left > rect(cut - 1, cut).left, rect(cut + 1, cut + 2).left < rect(node.textContent!.length - 1, node.textContent!.length).left];
  });
  expect({ arabic, english }).toEqual({ arabic: true, english: true });
  layla.close();
});

test("an emoji alone is large, with its time at its foot", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  await alice.startChat("bob-of-" + alice.name);
  await alice.say("🎉");
  const [text, time] = await Promise.all([alice.bubble("🎉").locator(".bubble-text").boundingBox(), alice.bubble("🎉").locator("time").boundingBox()]);
  expect(text!.height).toBeGreaterThan(30);
  expect(time!.y + time!.height).toBeGreaterThan(text!.y + text!.height - 12);
});

test("where there is nothing, the page says what can be done", async ({ backend, person }) => {
  const alice = await person("alice", PHONE);
  const { page } = alice;
  await alice.signIn(backend.url);
  const start = page.getByRole("button", { name: "Start one" });
  await expect(start).toBeVisible();
  expect((await start.boundingBox())!.y, "under the search, not at the bottom").toBeLessThan(300);
  await start.click();
  await expect(page.getByRole("textbox", { name: "User name" })).toBeFocused();
  await page.keyboard.press("Escape");
  await page.goto(backend.url + "/#/c/gnowhere");
  await expect(page.getByText("This conversation is not on this device.")).toBeVisible();
  await page.getByRole("button", { name: "Back to the list" }).click();
  await expect(start).toBeVisible();
  await alice.startChat("bob-of-" + alice.name);
  await page.getByRole("button", { name: "Back to the list" }).click();
  await page.getByRole("searchbox").fill("zzz");
  const none = page.getByText("No conversation is called that.");
  expect((await none.boundingBox())!.y).toBeLessThan(300);
});

test("text over the limit stays in the composer, with its length", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, `bob-${alice.name.slice(-4)}`);
  await bob.say({ to: alice.name }, "hello");
  await alice.row(bob.user).click();
  const field = alice.page.getByRole("textbox", { name: /^Message to/ });
  await field.fill("x".repeat(70_000));
  await field.press("Enter");
  await expect(alice.page.getByText("70,000 of 65,536 bytes")).toBeVisible();
  await expect(field).toHaveValue("x".repeat(70_000));
  await field.fill("short enough");
  await field.press("Enter");
  await expect(field).toHaveValue("");
  bob.close();
});
