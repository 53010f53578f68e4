import { utf8 } from "../src/wire/bytes";
import { expect, test } from "./story";

test("a conversation of 10,000 stored messages opens and sends at once @fake", async ({ backend, person }) => {
  const { state } = backend.fake!;
  const alice = await person("alice");
  const bob = "bob-of-" + alice.name;
  const chat = state.direct(alice.name, bob);
  for (let i = 1; i <= 10_000; i++) state.append(chat, i % 3 ? bob : alice.name, utf8(`line ${i}`), `m${i}`);
  state.receipt(chat, alice.name, "elsewhere", 10_000, true);

  await alice.signIn(backend.url);
  await expect(alice.row(bob)).toContainText("line 10000");
  // All of it into the local store, as if it had been read here over months.
  await alice.page.evaluate(
    async ([db, chatId, me, other]) => {
      const open = indexedDB.open(db!);
      await new Promise((done) => (open.onsuccess = done));
      const tx = open.result.transaction("messages", "readwrite");
      for (let seq = 1; seq <= 10_000; seq++) tx.objectStore("messages").put({ chatId, seq, sender: seq % 3 ? other : me, text: `line ${seq}`, at: 1.7e12 + seq * 60_000 });
      await new Promise((done) => (tx.oncomplete = done));
      open.result.close();
    },
    [`godwit:${alice.name}`, chat.id, alice.name, bob],
  );
  await alice.page.reload();
  await alice.online();

  const opened = Date.now();
  await alice.row(bob).click();
  await expect(alice.bubble("line 10000")).toBeVisible();
  const openMs = Date.now() - opened;
  await alice.composer.fill("quick");
  const pressed = Date.now();
  await alice.composer.press("Enter");
  await expect(alice.bubble("quick")).toBeVisible();
  const sendMs = Date.now() - pressed;
  test.info().annotations.push({ type: "measured", description: `open ${openMs} ms, send ${sendMs} ms` });
  console.log(`      10,000 messages: opened in ${openMs} ms, own message shown in ${sendMs} ms`);
  // Wide bounds for a busy machine; drawing all of it would take far longer.
  expect(openMs).toBeLessThan(3000);
  expect(sendMs).toBeLessThan(2000);
  expect(await alice.messages.locator("li.bubble").count()).toBeLessThan(300);
});
