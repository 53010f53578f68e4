// What the page does when the server misbehaves: only the fake one does so on
// demand.
import { expect, test } from "./story";

test("a refused message says why and can be sent again @fake", async ({ backend, person }) => {
  const fake = backend.fake!;
  const alice = await person("alice");
  await alice.signIn(backend.url);
  await alice.startChat("bob-of-" + alice.name);
  fake.refuse = [{ code: 1203, message: "you are not a member of this conversation" }];
  await alice.say("may I?");
  await expect(alice.page.locator(".bubble-failed")).toContainText("you are not a member");
  await alice.page.getByRole("button", { name: "Try again" }).click();
  await alice.expectTick("may I?", "Sent");
  await expect(alice.page.locator(".bubble-failed")).toHaveCount(0);
  expect(new Set(fake.sends.slice(-2)).size, "both under one client_msg_id").toBe(1);
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
