// Weighs what was built, compressed by gzip: all that the first page loads, and each chunk that comes later.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const LIMIT_FIRST = 210_000;
const LIMIT_CHUNK = 40_000;

const built = fileURLToPath(new URL("../../msvs/dashboard/built/static/", import.meta.url));
const sizeOf = (name: string) => statSync(existsSync(`${built}${name}.gz`) ? `${built}${name}.gz` : built + name).size;

const page = readFileSync(`${built}index.html`, "utf8");
const first = [...page.matchAll(/(?:src|href)="\/dashboard\/(assets\/[^"]+\.js)"/g)].map(([, name]) => name!);
const chunks = readdirSync(`${built}assets`).filter((name) => name.endsWith(".js") && !first.includes(`assets/${name}`));
const total = first.reduce((sum, name) => sum + sizeOf(name), 0);
const heaviest = chunks.map((name) => ({ name, size: sizeOf(`assets/${name}`) })).sort((a, b) => b.size - a.size);

console.log(`First load ${(total / 1000).toFixed(1)} kB of ${LIMIT_FIRST / 1000}, in ${first.length} files`);
for (const { name, size } of heaviest.slice(0, 8)) console.log(`  ${(size / 1000).toFixed(1).padStart(6)} kB  ${name}`);
const tooHeavy = heaviest.filter(({ size }) => size > LIMIT_CHUNK);
if (total > LIMIT_FIRST || tooHeavy.length > 0) {
  console.error(total > LIMIT_FIRST ? "The first load is too heavy." : `Too heavy: ${tooHeavy.map(({ name }) => name).join(", ")}`);
  process.exitCode = 1;
}
