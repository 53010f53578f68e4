// Several clients and a server that dies: what all of them agree on.
import { expect, test, Person } from "./story";
import { Terminal } from "./terminal";

/** The conversation on the screen. */
function chatId(p: Person): string {
  return decodeURIComponent(new URL(p.page.url()).hash.slice("#/c/".length));
}

test("two browsers and a terminal in one conversation", async ({ kind, backend, person }, info) => {
  test.skip(kind === "fake", "the terminal client wants godwit itself");
  const alice = await person("alice");
  const bob = await person("bob");
  const carol = alice.name.replace("alice", "carol");
  for (const p of [alice, bob]) await p.signIn(backend.url);
  await alice.startGroup("Weekend", [bob.name, carol]);
  await bob.row("Weekend").click();
  const terminal = new Terminal(backend.url, carol, chatId(alice));
  try {
    // One message of each, seen by the other two.
    await expect(alice.messages.locator(".event")).toContainText("You created the group");
    await expect(bob.messages.locator(".event")).toContainText(`${alice.name}\u2069 created the group`);
    await alice.say("Sunday at ten?");
    await expect(bob.bubble("Sunday at ten?")).toContainText(alice.name);
    await expect.poll(() => terminal.lines).toContain(`${alice.name}: Sunday at ten?`);
    await bob.say("Ten is fine");
    await expect(alice.bubble("Ten is fine")).toContainText(bob.name);
    await expect.poll(() => terminal.lines).toContain(`${bob.name}: Ten is fine`);
    terminal.say("I bring the cake 🎂");
    for (const p of [alice, bob]) await expect(p.bubble("I bring the cake 🎂")).toContainText(carol);
    expect(await alice.texts()).toEqual(["Sunday at ten?", "Ten is fine", "I bring the cake 🎂"]);

    // A tick turns only when the last of the two others has read.
    await alice.expectTick("Sunday at ten?", "Read");
    await bob.expectTick("Ten is fine", "Read");

    // All at once: there is one order, and everybody has it.
    terminal.say("carol at once");
    await Promise.all([alice.say("alice at once"), bob.say("bob at once")]);
    const last = ["alice at once", "bob at once", "carol at once"];
    for (const p of [alice, bob]) for (const text of last) await expect(p.bubble(text)).toHaveCount(1);
    await alice.expectTick("alice at once", "Read");
    await bob.expectTick("bob at once", "Read");
    const order = await alice.texts();
    expect([...order].sort()).toEqual([...new Set(order)].sort());
    expect(await bob.texts()).toEqual(order);
    const printed = terminal.lines.map((l) => l.slice(l.indexOf(": ") + 2));
    expect(printed.filter((t) => order.includes(t)), "the terminal's own lines are not printed again").toEqual(order.filter((t) => !/carol|cake/.test(t)));
    await terminal.leave();
    await alice.page.screenshot({ path: info.outputPath("alice.png") });
    await bob.page.screenshot({ path: info.outputPath("bob.png") });
  } finally {
    terminal.kill();
  }
});

test("kill -9 in the middle of writing: both go on where they were", async ({ kind, backend, person }, info) => {
  test.skip(kind === "remote", "a server that is not ours cannot be stopped");
  test.slow();
  const alice = await person("alice");
  const bob = await person("bob");
  await alice.signIn(backend.url);
  await bob.signIn(backend.url);
  await alice.startChat(bob.name);
  await alice.say("before");
  await bob.row(alice.name).click();
  await alice.expectTick("before", "Read");

  // Bob is in the middle of a sentence and Alice in the middle of a burst.
  await bob.composer.pressSequentially("half a sen");
  await expect(alice.page.locator(".chat-typing")).toHaveText("typing…");
  const burst = Array.from({ length: 12 }, (_, i) => `burst ${i + 1}`);
  const write = (async () => {
    for (const text of burst) await alice.say(text);
  })();
  await expect(alice.bubble("burst 3")).toBeVisible();
  await backend.stop();
  await write;
  await alice.say("written while it was gone");
  await alice.expectTick("written while it was gone", "Sending");
  for (const p of [alice, bob]) {
    await expect(p.page.locator(".conversation .banner")).toContainText(/Trying again in \d+ s|Connecting/);
    await expect(p.page.locator(".state")).toHaveText(/Offline|Connecting/);
  }
  await expect(alice.page.locator("[data-live=state]")).toHaveText(/Connection: (Offline|Connecting)/);
  await expect(alice.page.locator(".chat-typing"), "nobody types through a dead server").toHaveCount(0);
  await alice.page.screenshot({ path: info.outputPath("gone.png") });

  const url = backend.url;
  await backend.start();
  expect(backend.url, "the same address, the same data").toBe(url);
  await alice.online();
  await bob.online();
  await expect(alice.page.locator(".conversation .banner")).toHaveCount(0);
  await expect(bob.composer, "what was typed is still there").toHaveValue("half a sen");
  await bob.composer.pressSequentially("tence");
  await bob.composer.press("Enter");

  const order = ["before", ...burst, "written while it was gone"];
  for (const text of order) await alice.expectTick(text, "Read");
  await bob.expectTick("half a sentence", "Read");
  await expect(alice.bubble("half a sentence")).toHaveCount(1);
  const seen = await alice.texts();
  expect(await bob.texts(), "one order for both").toEqual(seen);
  expect(seen.filter((t) => t !== "half a sentence"), "each once, as written").toEqual(order);

  // And a browser that was not there sees no more and no less.
  const elsewhere = new Person(bob.name, (await person("bob")).page);
  await elsewhere.signIn(backend.url);
  await elsewhere.row(alice.name).click();
  await expect.poll(() => elsewhere.texts()).toEqual(seen);
});
