// Builds the page again and compares it with what is committed in dist/.
// Exit code 1 and the names of the files that differ when it does not match.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = join(root, ".verify");

function filesOf(dir) {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile());
  return new Map(names.map((e) => join(e.parentPath, e.name)).map((path) => [path.slice(dir.length + 1), readFileSync(path)]));
}

execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "--outDir", fresh, "--emptyOutDir", "--logLevel", "warn"], { cwd: root, stdio: "inherit" });
const built = filesOf(fresh);
const committed = filesOf(join(root, "dist"));
rmSync(fresh, { recursive: true });

const names = [...new Set([...built.keys(), ...committed.keys()])].sort();
const wrong = names.filter((n) => !built.get(n)?.equals(committed.get(n) ?? Buffer.alloc(0)));
const leaks = [...built].filter(([, b]) => b.includes(root.slice(0, -1))).map(([n]) => n);
if (wrong.length + leaks.length > 0) {
  for (const n of wrong) console.error(`dist/${n} differs from a fresh build`);
  for (const n of leaks) console.error(`${n} holds a path of this machine`);
  console.error("run `npm run build` in web/ and commit web/dist");
  process.exit(1);
}
console.log(`dist/ is what the sources build (${names.length} files)`);
