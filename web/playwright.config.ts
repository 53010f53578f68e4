import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";
import { BINARY, type Kind } from "./e2e/backend";
import type { Options } from "./e2e/story";

// The stories run against godwit itself when there is one, GODWIT_URL or
// bin/godwit, else against the fake server. Those marked @fake need a server
// that misbehaves on demand and always run against that.
const real: Kind | null = process.env.GODWIT_URL ? "remote" : existsSync(BINARY) ? "godwit" : null;

const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const chromium = process.env.CHROMIUM ?? browsers.find((p) => existsSync(p));

export default defineConfig<Options>({
  testDir: "e2e",
  testMatch: "*.story.ts",
  outputDir: "test-results",
  workers: 2,
  fullyParallel: false,
  timeout: 30_000,
  expect: { timeout: 8_000 },
  reporter: "list",
  use: {
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    trace: "retain-on-failure",
    launchOptions: {
      ...(chromium ? { executablePath: chromium } : {}),
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    },
  },
  projects: [
    { name: "fake", use: { kind: "fake" }, ...(real ? { grep: /@fake/ } : {}) },
    ...(real ? [{ name: real, use: { kind: real }, grepInvert: /@fake/ }] : []),
  ],
});
