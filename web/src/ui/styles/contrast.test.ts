// Text can be read: the pairs of colours that meet on the screen, in both
// schemes, against WCAG 2.2 AA (4.5 for text, 3 for signs).

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
const [, light, dark] = read("base.css").split(":root");
const parts = read("parts.css");

function colours(css: string): Map<string, string> {
  return new Map([...css.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1]!, m[2]!]));
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number];
  return (x + 0.05) / (y + 0.05);
}

const text: [ink: string, ground: string][] = [
  ["ink", "ground"], ["ink", "surface"], ["ink", "chat"], ["ink", "own"], ["ink", "accent-soft"], ["ink", "hover"],
  ["soft", "ground"], ["soft", "surface"], ["soft", "chat"], ["soft", "accent-soft"], ["soft", "hover"],
  ["own-soft", "own"], ["accent-ink", "accent"], ["accent", "ground"], ["accent", "chat"], ["accent", "accent-soft"],
  ["bad", "chat"], ["bad", "bad-soft"], ["bad", "surface"], ["warn", "warn-soft"],
];

for (const [scheme, css] of [["light", light!], ["dark", dark!]] as const) {
  const c = colours(css);
  test.each(text)(`${scheme}: %s on %s`, (ink, ground) => {
    expect(contrast(c.get(ink)!, c.get(ground)!)).toBeGreaterThanOrEqual(4.5);
  });
  test.each([["read", "own"], ["read", "ground"], ["bad", "own"], ["bad", "ground"], ["bad", "accent-soft"], ["soft", "line"]])(`${scheme}: the sign %s on %s`, (ink, ground) => {
    expect(contrast(c.get(ink)!, c.get(ground)!)).toBeGreaterThanOrEqual(3);
  });
  test(`${scheme}: names in their colours`, () => {
    const names = parts.split("@media (prefers-color-scheme: dark)")[scheme === "light" ? 0 : 1]!;
    const inks = [...names.matchAll(/\.name-\d \{ color: (#[0-9a-f]{6})/g)].map((m) => m[1]!);
    expect(inks).toHaveLength(8);
    for (const ink of inks) expect(contrast(ink, c.get("surface")!), ink).toBeGreaterThanOrEqual(4.5);
  });
}

test("white on every avatar", () => {
  for (const m of parts.matchAll(/\.hue-\d \{ background: (#[0-9a-f]{6})/g)) expect(contrast("#ffffff", m[1]!), m[1]).toBeGreaterThanOrEqual(4.5);
});
