import { newBackend, tokenFor, type Backend } from "./backend";
import { expect, test } from "./story";

test.describe("with tokens only", () => {
  test.skip(!!process.env.GODWIT_URL, "tokens are signed with the secret of a server of our own");
  let server: Backend;
  test.beforeAll(async ({ kind }) => {
    server = newBackend(kind, false);
    await server.start();
  });
  test.afterAll(() => server.end());

  test("a wrong token is refused in words, a right one is let in", async ({ person }) => {
    const alice = await person("alice");
    const { page } = alice;
    await page.goto(server.url);
    await expect(page.getByText("Development sign-in")).toHaveCount(0);
    const field = page.getByRole("textbox", { name: "Access token" });
    const enter = async (token: string) => {
      await field.fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
    };
    await enter("nonsense");
    await expect(page.getByRole("alert")).toContainText("not a token");
    await enter(tokenFor(alice.name).slice(0, -4) + "AAAA");
    await expect(page.getByRole("alert")).toContainText("The token does not verify");
    await enter(tokenFor(alice.name, -60));
    await expect(page.getByRole("alert")).toContainText("The token has expired");
    await enter(tokenFor(alice.name));
    await alice.online();
    await expect(page.locator(".devtag")).toHaveCount(0);
  });
});

test("signing out removes the messages from this browser", async ({ backend, person }) => {
  const alice = await person("alice");
  await alice.signIn(backend.url);
  await alice.startChat("bob-of-" + alice.name);
  await alice.say("secret");
  await alice.expectTick("secret", "Sent");
  await alice.page.getByRole("button", { name: "Menu" }).click();
  await alice.page.getByRole("menuitem", { name: /Sign out/ }).click();
  await expect(alice.page.getByRole("textbox", { name: "Your name" })).toBeVisible();
  const names = await alice.page.evaluate(async () => (await indexedDB.databases()).map((d) => d.name));
  expect(names).not.toContain(`godwit:${alice.name}`);
});
