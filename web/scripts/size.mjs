// How much compressed script the first page loads: the entry of index.html and everything it imports at once.
// Fails above the limit. Run after `npm run build`.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const limit = 300_000;
const folder = new URL('../dist/', import.meta.url);
const read = (path) => readFileSync(new URL(path.replace(/^\//, ''), folder));

const seen = new Map();
function visit(path) {
  if (seen.has(path)) return;
  const source = read(path);
  seen.set(path, gzipSync(source).length);
  // Static imports alone: what is behind import() is loaded on demand.
  for (const [, name] of source.toString().matchAll(/(?:import|export)[^'"()]*?from\s*["']\.\/([\w.-]+\.js)["']|import\s*["']\.\/([\w.-]+\.js)["']/g)) {
    if (name) visit(`/assets/${name}`);
  }
}

const page = read('index.html').toString();
for (const [, path] of page.matchAll(/(?:src|href)="(\/assets\/[^"]+\.js)"/g)) visit(path);

const total = [...seen.values()].reduce((sum, size) => sum + size, 0);
for (const [path, size] of seen) console.log(`${String(size).padStart(8)}  ${path}`);
console.log(`${String(total).padStart(8)}  first load, gzip; limit ${limit}`);
if (total === 0 || total > limit) process.exit(1);
