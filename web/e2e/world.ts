// The real programs that the browser tests look at: a server of its own, an S3 endpoint, a folder for both.
// Not here: what is in them (busy.ts), the browser (browser.ts).
// Called by the tests. TAPLINE_BINARY is the program, TAPLINE_S3 the example `serve` of tapline-endpoint.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { preview, type PreviewServer } from 'vite';

export const binary = named('TAPLINE_BINARY');
const endpoint = named('TAPLINE_S3');
export const bucket = 'acme-lake';
const token = 'tok_of-the-browser-tests-and-of-nobody-else';

function named(variable: string): string {
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} is not set; see web/README.md`);
  return path;
}

export interface Lake {
  url: string;
  key: string;
  secret: string;
  /** Replaces an object. */
  put: (key: string, text: string) => Promise<void>;
}

export interface RolePolicies {
  arn: string;
  trust: string;
  permission: string;
}

/** A folder with the programs that were started in it. All of it goes with `close`. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'tapline-browser-'));
  #children: ChildProcess[] = [];
  #fronts: PreviewServer[] = [];

  /** Where a file is that holds this text. */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Serves what was written below `lake/` as a bucket; with a role, to whoever assumes it alone. */
  async lake(role?: RolePolicies): Promise<Lake> {
    mkdirSync(join(this.folder, 'lake'), { recursive: true });
    const words = [bucket, join(this.folder, 'lake')];
    if (role) words.push(role.arn, this.write('trust.json', role.trust), this.write('permission.json', role.permission));
    const { child, lines, match } = await this.#begin(endpoint, words, /^(http\S+) (\S+) (\S+)$/);
    const [, url = '', key = '', secret = ''] = match;
    let puts = 0;
    const put = (name: string, text: string) =>
      new Promise<void>((resolve) => {
        lines.once('line', () => resolve());
        puts += 1;
        child.stdin?.write(`put ${name} ${this.write(`put/${puts}`, text)}\n`);
      });
    return { url, key, secret, put };
  }

  /** Starts a server, and says where its pages are and how the first user is made. */
  async server(): Promise<Server> {
    const words = ['serve', '--listen', '127.0.0.1:0', '--allow-private-addresses'];
    const { match } = await this.#begin(binary, words, /(http:\/\/127\.0\.0\.1:\d+)\/setup\?code=(\S+)/);
    const [, api = '', code = ''] = match;
    return new Server(api, await this.#pages(api), code);
  }

  /** A binary that was built without the pages gets those of `dist/` in front of it. */
  async #pages(api: string): Promise<string> {
    const page = await (await fetch(api)).text();
    if (page.includes('/assets/')) return api;
    const proxy = { '/api': { target: api } };
    const front = await preview({ preview: { port: 0, host: '127.0.0.1', proxy }, logLevel: 'warn' });
    this.#fronts.push(front);
    const address = front.httpServer.address();
    if (!address || typeof address === 'string') throw new Error('the pages have no port');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Starts a program and waits for a line of this pattern. */
  async #begin(program: string, words: string[], pattern: RegExp) {
    const env = { ...process.env, TAPLINE_ADMIN_TOKEN: token, AWS_EC2_METADATA_DISABLED: 'true' };
    const child = spawn(program, words, { cwd: this.folder, env });
    this.#children.push(child);
    const lines = createInterface({ input: child.stdout });
    const said: string[] = [];
    child.stderr.on('data', (data) => said.push(String(data)));
    const match = await new Promise<RegExpExecArray>((resolve, reject) => {
      for (const source of [lines, createInterface({ input: child.stderr })]) {
        source.on('line', (line) => {
          const found = pattern.exec(line);
          if (found) resolve(found);
        });
      }
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said.join('')}`)));
    });
    return { child, lines, match };
  }

  async close(): Promise<void> {
    await Promise.all(this.#fronts.map((front) => front.close()));
    await Promise.all(
      this.#children.map((child) => {
        if (child.exitCode !== null) return undefined;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        return ended;
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Server {
  readonly api: string;
  readonly pages: string;
  /** Of the link that makes the first user. */
  readonly code: string;

  constructor(api: string, pages: string, code: string) {
    this.api = api;
    this.pages = pages;
    this.code = code;
  }

  /** Asks the API as an administrator. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.api}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Runs a sync to its end. */
  async run(sync: string, options: object = {}): Promise<{ status: string }> {
    const { id } = await this.ask<{ id: string }>('POST', `/syncs/${sync}/runs`, options);
    for (;;) {
      const run = await this.ask<{ status: string }>('GET', `/runs/${id}`);
      if (run.status !== 'running') return run;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** The settings of a source that reads a lake by its access key. */
export function sourceSettings(lake: Lake, more: object = {}) {
  const auth = { type: 'iam_user', access_key_id: lake.key, secret_access_key: lake.secret };
  return { type: 's3', bucket, endpoint: lake.url, path: 'exports/crm', auth, ...more };
}

/** The settings of a PostgreSQL destination, where there is a server for tests; else of an SQLite file. */
export function databaseSettings(world: World): { type: string; [key: string]: unknown } {
  const url = process.env.TAPLINE_TEST_POSTGRES_URL;
  if (!url) return { type: 'sqlite', path: join(world.folder, 'crm.db') };
  const { hostname, port, username, password, pathname } = new URL(url);
  return { type: 'postgres', host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) };
}

/** A table that no other test has. */
export function ownTable(name: string): string {
  return `${name}_${Math.random().toString(36).slice(2, 8)}`;
}
