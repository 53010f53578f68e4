// Pictures for a person to look at: SHOTS=DIR npm run e2e -- shots
import { Bot } from "./bot";
import { expect, test, type Person } from "./story";

const dir = process.env.SHOTS;
const talk: [who: "bob" | "me", text: string][] = [
  ["bob", "Morning! Did the new edge survive the night?"],
  ["me", "It did. 41,000 sockets and not one reconnect."],
  ["me", "I even slept."],
  ["bob", "🎉"],
  ["bob", "Then let us switch the second one over today. The plan is at https://example.org/plan?step=2 — could you read it before ten, especially the part about draining? I am not sure that sixty seconds are enough for people on trains."],
  ["me", "Reading it now"],
  ["bob", "Thanks. Coffee after?"],
];

async function fill(url: string, alice: Person): Promise<Bot[]> {
  const bob = await Bot.connect(url, "bob");
  let chat = "";
  await alice.signIn(url);
  await alice.startChat("bob");
  for (const [who, text] of talk) {
    if (who === "me") await alice.say(text);
    else chat = await bob.say({ to: alice.name }, text);
    if (who === "me") await alice.expectTick(text, "Sent");
  }
  bob.send({ type: "ack_read", chat_id: chat, last_read_message_id: 6 });
  const others = [];
  for (const [name, texts] of Object.entries({ carol: ["See you on Sunday"], dmitri: ["Are you coming?", "We start at eight", "Bring the map"], "Émile Ōta": ["Voilà, c’est fait."], "ops@example.org": ["Disk of core-3 is at 71 %"] })) {
    const b = await Bot.connect(url, name);
    for (const t of texts) await b.say({ to: alice.name }, t);
    others.push(b);
  }
  return [bob, ...others];
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`pictures, ${colorScheme} @fake`, async ({ backend, person }) => {
    test.skip(!dir, "SHOTS names no directory");
    const alice = await person("alice", { colorScheme, deviceScaleFactor: 2 });
    const { page } = alice;
    await page.goto(backend.url);
    await page.getByRole("button", { name: "Start" }).waitFor();
    await page.screenshot({ path: `${dir}/signin-${colorScheme}.png` });
    const bots = await fill(backend.url, alice);
    await page.waitForTimeout(600);
    await page.screenshot({ path: `${dir}/desktop-${colorScheme}.png` });
    await page.setViewportSize({ width: 390, height: 780 });
    await page.screenshot({ path: `${dir}/phone-chat-${colorScheme}.png` });
    await page.getByRole("button", { name: "Back to the list" }).click();
    await page.screenshot({ path: `${dir}/phone-list-${colorScheme}.png` });
    await page.setViewportSize({ width: 1180, height: 760 });
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("button", { name: "Group", exact: true }).click();
    await page.screenshot({ path: `${dir}/dialog-${colorScheme}.png` });
    await page.keyboard.press("Escape");
    await alice.row("bob").click();
    backend.fake!.refuse = [{ code: 1203, message: "you are not a member of this conversation" }];
    await alice.say("This one will be refused");
    await expect(page.locator(".bubble-failed")).toBeVisible();
    await page.context().setOffline(true);
    await expect(page.locator(".conversation .banner")).toBeVisible();
    await alice.say("This one waits");
    await page.screenshot({ path: `${dir}/offline-${colorScheme}.png` });
    await page.setViewportSize({ width: 390, height: 780 });
    await page.getByRole("button", { name: "Back to the list" }).click();
    await page.screenshot({ path: `${dir}/phone-offline-${colorScheme}.png` });
    for (const b of bots) b.close();
  });
}
