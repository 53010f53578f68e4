// What the page does when the server misbehaves: only the fake one does so on
// demand.
import { Bot } from "./bot";
import { expect, test } from "./story";

test("a refused message says why and can be sent again @fake", async ({ backend, person }) => {
  const fake = backend.fake!;
  const alice = await person("alice");
  await alice.signIn(backend.url);
  await alice.startChat("bob-of-" + alice.name);
  fake.refuse = [{ code: 1203, message: "you are not a member of this conversation" }];
  await alice.say("may I?");
  await expect(alice.page.locator(".bubble-failed")).toContainText("you are not a member");
  await expect(alice.page.locator("[data-live=refusals]")).toHaveText("Not sent: you are not a member of this conversation — may I?");
  await alice.page.getByRole("button", { name: "Retry the message “may I?”" }).click();
  await alice.expectTick("may I?", "Sent");
  await expect(alice.page.locator(".bubble-failed")).toHaveCount(0);
  expect(new Set(fake.sends.slice(-2)).size, "both under one client_msg_id").toBe(1);
});

test("what comes later stands below a refused message; the keyboard sends it again or deletes it @fake", async ({ backend, person }) => {
  const fake = backend.fake!;
  const alice = await person("alice");
  const { page } = alice;
  await alice.signIn(backend.url);
  const bob = await Bot.connect(backend.url, "bob-" + alice.name);
  await alice.startChat(bob.user);
  await alice.say("one");
  await alice.expectTick("one", "Sent");
  const failed = page.locator(".bubble-failed");
  for (const text of ["refused A", "refused B"]) {
    fake.refuse = [{ code: 1203, message: "no" }];
    await alice.say(text);
    await expect(failed.last()).toContainText(text);
  }
  await expect(alice.row(bob.user), "nothing is newer").toContainText("refused B");
  await alice.say("two");
  await alice.expectTick("two", "Sent");
  await bob.say({ to: alice.name }, "three");
  await expect(alice.bubble("three")).toBeVisible();
  const order = ["one", "refused A", "refused B", "two", "three"];
  expect(await alice.texts()).toEqual(order);
  await expect(alice.row(bob.user)).toContainText("three");
  await expect(alice.row(bob.user).getByRole("img", { name: "Not sent" }), "the list does not hide that something is left").toBeVisible();
  await page.reload();
  await expect(failed).toHaveCount(2);
  await expect.poll(() => alice.texts(), "it keeps its place").toEqual(order);

  // From the composer back into the messages: Delete of B, Retry of B, Delete of A, Retry of A.
  await alice.online();
  await alice.composer.focus();
  for (const name of ["Delete the message “refused B”", "Retry the message “refused B”", "Delete the message “refused A”", "Retry the message “refused A”"]) {
    await page.keyboard.press("Shift+Tab");
    await expect(page.getByRole("button", { name })).toBeFocused();
  }
  await page.keyboard.press("Enter");
  await alice.expectTick("refused A", "Sent");
  expect(await alice.texts(), "sent once more, it is the newest").toEqual(["one", "refused B", "two", "three", "refused A"]);
  await expect(alice.messages, "the keyboard is not lost").toBeFocused();
  await page.getByRole("button", { name: "Delete the message “refused B”" }).press("Enter");
  await expect(alice.bubble("refused B")).toHaveCount(0);
  await expect(page.locator("[data-live=refusals]")).toHaveText("Deleted.");
  await expect(alice.messages).toBeFocused();
  await expect(alice.row(bob.user).getByRole("img", { name: "Not sent" })).toHaveCount(0);
  bob.close();
});

test("too fast: it waits as long as it was told and keeps the order @fake", async ({ backend, person }) => {
  const fake = backend.fake!;
  const alice = await person("alice");
  await alice.signIn(backend.url);
  await alice.startChat("bob-of-" + alice.name);
  await alice.say("first");
  await alice.expectTick("first", "Sent");
  fake.refuse = [{ code: 1301, retryable: true, retry_after_ms: 1500 }];
  const at = Date.now();
  await alice.say("second");
  await alice.say("third");
  await alice.expectTick("third", "Sent");
  expect(Date.now() - at).toBeGreaterThan(1400);
  expect(await alice.texts()).toEqual(["first", "second", "third"]);
});

test("a server that is leaving is left, and found again when it said @fake", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  backend.fake!.goAway(1200);
  await expect(alice.page.locator(".state")).toContainText("Offline");
  const at = Date.now();
  await alice.online();
  expect(Date.now() - at).toBeGreaterThan(800);
  expect(backend.fake!.sessionsOf(alice.name)).toBe(1);
});

test("an expired development token is renewed without a word @fake", async ({ backend, person }) => {
  const fake = backend.fake!;
  const alice = await person("alice");
  await alice.signIn(backend.url);
  const expired = fake.token(alice.name, -10);
  await alice.page.evaluate(([user, token]) => localStorage.setItem(`godwit.account:${user}`, JSON.stringify({ user, token, dev: true })), [alice.name, expired]);
  await alice.page.reload();
  await alice.online();
});
