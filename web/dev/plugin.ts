// A mock of the server, for developing the pages and for their tests. Never part of what is shipped.
// Plays the API of one server in memory; `POST /mock/world?name=busy|empty|many|fresh&role=…` starts it anew.

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import { busy, connectors, definition, empty, many, noRows, rows, run, streams, type World } from './data.ts';

type Row = Record<string, unknown>;
type Next = Connect.NextFunction;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const projectSchema = JSON.parse(readFileSync(new URL('../../schema/tapline.schema.json', import.meta.url), 'utf8')) as {
  $defs: Row;
  properties: { destinations: { additionalProperties: { oneOf: { properties: { type: { const: string } } }[] } } };
};

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly more: Row;

  constructor(status: number, code: string, detail: string, more: Row = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

let world: World = busy();
let role = 'admin';
let signedIn = true;
let needed = false;
let events: Record<string, { events: Row[]; done: boolean }> = {};

function start(name: string, as: string) {
  world = name === 'empty' || name === 'fresh' ? empty() : name === 'many' ? many() : busy();
  role = as;
  needed = name === 'fresh';
  signedIn = name !== 'fresh' && name !== 'out';
  events = {};
}

const session = () => ({
  user: signedIn ? { id: 'u1', email: 'ada@example.org', name: 'Ada Example', role } : null,
  csrf: 'mock',
  version: '0.1.0',
});
const list = (items: Row[], query: URLSearchParams) => {
  const limit = Number(query.get('limit') ?? 50);
  const from = Number(query.get('after') ?? 0);
  return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : null };
};

async function body(request: IncomingMessage): Promise<Row> {
  let text = '';
  for await (const piece of request) text += String(piece);
  return text ? (JSON.parse(text) as Row) : {};
}

function find(noun: keyof World, name: string): Row {
  const found = (world[noun] as Row[]).find((item) => item.name === name);
  if (!found) throw new Refusal(404, 'API-001', `there is no ${noun.replace(/s$/, '')} ${name}`, { hints: ['Look at the list.'] });
  return found;
}

function facts(noun: string, settings: Row): Row {
  if (noun === 'sources') return { kind: 's3', external_id: (settings.auth as Row | undefined)?.external_id ?? null, last_check: null, models: 0 };
  if (noun === 'models') return { source: settings.source, primary_key: settings.primary_key, version: 1, syncs: 0 };
  if (noun === 'destinations') return { kind: settings.type, syncs: 0, last_check: null };
  return { model: settings.model, destination: settings.destination, stream: settings.stream, mode: settings.mode, schedule: settings.schedule === 'manual' ? 'manual' : 'every 15 minutes', paused: false, state: 'new', last_run: null, next_run: null, open_rejects: 0, trend: [] };
}

function checkSteps(noun: string, settings: Row): Row[] {
  if (noun === 'destinations') {
    return [
      { name: 'connect', ok: true, code: null, message: 'PostgreSQL 16.4', hint: null },
      { name: 'write', ok: true, code: null, message: 'may create tables in public', hint: null },
    ];
  }
  const steps: Row[] = [
    { name: 'reach s3.us-east-1.amazonaws.com', ok: true, code: null, message: 'in 31 ms', hint: null },
    { name: 'sts:AssumeRole', ok: true, code: null, message: 'as lake-reader', hint: null },
    { name: 'list', ok: true, code: null, message: '12 objects', hint: null },
    { name: 'read', ok: true, code: null, message: 'exports/crm/a.parquet', hint: null },
  ];
  if (settings.bucket === 'denied') {
    steps[3] = { name: 'read exports/crm/a.parquet', ok: false, code: 'S3-004', message: 'access denied reading an object', hint: 'the role lacks s3:GetObject on denied/exports/crm/*' };
  }
  return steps;
}

function policies(settings: Row): Row {
  const bucket = String(settings.bucket ?? '');
  const auth = (settings.auth ?? {}) as Row;
  return {
    permission: {
      Version: '2012-10-17',
      Statement: [
        { Sid: 'ReadFiles', Effect: 'Allow', Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: [`arn:aws:s3:::${bucket}/${String(settings.path ?? '')}*`] },
        { Sid: 'ListFiles', Effect: 'Allow', Action: 's3:ListBucket', Resource: `arn:aws:s3:::${bucket}` },
      ],
    },
    trust: auth.type === 'iam_role' ? { Version: '2012-10-17', Statement: [{ Sid: 'AssumeWithExternalId', Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::999999999999:role/tapline' }, Action: 'sts:AssumeRole', Condition: { StringEquals: { 'sts:ExternalId': auth.external_id } } }] } : null,
  };
}

async function query(sql: string): Promise<Row> {
  await pause(/sleep/.test(sql) ? 5000 : 120);
  const wrong = /\b(emial|frist_name)\b/.exec(sql);
  if (wrong) {
    const before = sql.slice(0, wrong.index).split('\n');
    throw new Refusal(422, 'SQL-011', `there is no column ${wrong[0]}`, {
      hints: ['Did you mean email?'],
      errors: [{ pointer: '/sql', detail: `there is no column ${wrong[0]}`, line: before.length, column: (before.at(-1)?.length ?? 0) + 1, end_column: (before.at(-1)?.length ?? 0) + 1 + wrong[0].length }],
    });
  }
  return { ...rows, row_count: rows.rows.length, truncated: false, duration_ms: 184, bytes_read: 5_200_000, rejected_lines: 0 };
}

/** Plays a run: its events appear one by one. */
async function play(sync: Row, running: Row) {
  const id = String(running.id);
  const told = { events: [] as Row[], done: false };
  events[id] = told;
  const tell = (event: Row) => told.events.push({ ...event, at: new Date().toISOString() });
  tell({ event: 'started', sync: sync.name, run: id, generation: running.generation });
  tell({ event: 'phase', phase: 'list' });
  tell({ event: 'note', message: 'listed 12 files, 12 to read' });
  await pause(300);
  tell({ event: 'phase', phase: 'read' });
  for (let part = 1; part <= 8 && running.status === 'running'; part += 1) {
    await pause(350);
    const counts = { ...noRows, read: part * 12_500, unchanged: part * 12_374 - 20, inserted: part * 63, updated: part * 63 + 10, rejected: 10 };
    tell({ event: 'progress', bytes_read: part * 9_175_040, bytes_total: 73_400_320, rows: counts });
  }
  const cancelled = running.status === 'cancelled';
  if (!cancelled) {
    tell({ event: 'phase', phase: 'publish' });
    await pause(500);
    tell({ event: 'phase', phase: 'commit' });
    running.rows = { ...noRows, read: 100_000, unchanged: 98_990, inserted: 500, updated: 500, rejected: 10 };
    running.status = 'partial';
    sync.state = 'partial';
    sync.open_rejects = 10;
    world.rejects[String(sync.name)] ??= busy().rejects.orders_to_slack ?? [];
  }
  running.bytes_read = 73_400_320;
  running.ended_at = new Date().toISOString();
  running.duration_ms = Date.now() - Date.parse(String(running.started_at));
  tell({ event: 'ended', report: running });
  told.done = true;
}

async function stream(response: ServerResponse, id: string, after: number) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const told = events[id];
  if (!told) {
    const found = world.runs.find((item) => item.id === id);
    response.end(`id: 1\nevent: ended\ndata: ${JSON.stringify({ event: 'ended', report: found, at: found?.ended_at })}\n\n`);
    return;
  }
  for (let next = after; ; ) {
    for (; next < told.events.length; next += 1) {
      const event = told.events[next];
      response.write(`id: ${next + 1}\nevent: ${String(event?.event)}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    if (told.done || response.destroyed) break;
    await pause(60);
  }
  response.end();
}

async function answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<unknown> {
  const method = request.method ?? 'GET';
  const [noun = '', name = '', verb = ''] = url.pathname.replace('/api/v1/', '').split('/').map(decodeURIComponent);
  const route = `${method} ${noun}`;
  const sent = method === 'GET' ? {} : await body(request);
  const settings = (sent.settings ?? {}) as Row;
  if (!signedIn && !['setup', 'session'].includes(noun)) throw new Refusal(401, 'AUTH-001', 'nobody is signed in');
  switch (route) {
    case 'GET setup':
      return { needed };
    case 'POST setup':
      needed = false;
      signedIn = true;
      return session();
    case 'GET session':
      return session();
    case 'POST session':
      if (sent.password === 'wrong password') throw new Refusal(401, 'AUTH-001', 'e-mail and password do not fit', { hints: ['Try again, or ask an administrator for a new password.'] });
      signedIn = true;
      return session();
    case 'DELETE session':
      signedIn = false;
      return undefined;
    case 'GET summary': {
      const counted: Record<string, number> = {};
      for (const sync of world.syncs) counted[String(sync.state)] = (counted[String(sync.state)] ?? 0) + 1;
      return {
        syncs: counted,
        per_day: Array.from({ length: 14 }, (_, index) => ({
          day: new Date(Date.now() - (13 - index) * 86_400_000).toISOString().slice(0, 10),
          inserted: 2000 + ((index * 977) % 3100),
          updated: 900 + ((index * 631) % 1700),
          deleted: (index * 97) % 240,
          rejected: index === 12 ? 310 : 10,
          runs: 96,
          failed: 0,
        })),
        attention: world.syncs
          .filter((sync) => ['failed', 'stopped', 'partial', 'late'].includes(String(sync.state)))
          .slice(0, 20)
          .map((sync) => {
            const error = (sync.last_run as Row | null)?.error as Row | null;
            return { sync: sync.name, state: sync.state, since: (sync.last_run as Row | null)?.started_at ?? null, code: error?.code ?? null, message: error?.message ?? null, open_rejects: sync.open_rejects };
          }),
        counts: { sources: world.sources.length, models: world.models.length, destinations: world.destinations.length, syncs: world.syncs.length },
      };
    }
    case 'GET connectors':
      return { items: connectors.map((connector) => ({ ...connector, schema: connector.schema ?? { ...projectSchema.properties.destinations.additionalProperties.oneOf.find((schema) => schema.properties.type.const === connector.kind), $defs: projectSchema.$defs } })), next: null };
    case 'GET functions':
      return { items: ['abs', 'coalesce', 'count', 'lower', 'max', 'min', 'strftime', 'sum', 'upper'], next: null };
    case 'GET about':
      return { version: '0.1.0', state: 'sqlite', started_at: new Date(Date.now() - 3_700_000).toISOString(), uptime_s: 3700, limits: { runs_at_once: 8, query_rows: 1000, query_seconds: 60, body_bytes: 4_194_304 } };
    case 'POST schedules': {
      const schedule = sent.schedule as Row;
      if (typeof schedule.every === 'string' && !/^\d+[smhd]$/.test(schedule.every)) throw new Refusal(422, 'CONF-003', `${schedule.every} is no distance of time`);
      return { next: Array.from({ length: 5 }, (_, index) => new Date(Date.now() + (index + 1) * 900_000).toISOString()), text: schedule.every ? `every ${String(schedule.every)}` : `at ${String(schedule.cron)}` };
    }
    case 'GET runs':
      if (verb === 'events') return stream(response, name, Number(request.headers['last-event-id'] ?? 0)).then(() => response);
      if (name) return world.runs.find((item) => item.id === name) ?? Promise.reject(new Refusal(404, 'API-001', 'there is no such run'));
      return list(world.runs.filter((item) => !url.searchParams.get('sync') || item.sync === url.searchParams.get('sync')), url.searchParams);
    case 'POST runs': {
      const found = world.runs.find((item) => item.id === name);
      if (found) found.status = 'cancelled';
      response.statusCode = 202;
      return found;
    }
    case 'POST tokens':
      world.tokens.push({ id: `t${world.tokens.length + 1}`, created_at: new Date().toISOString(), created_by: 'Ada Example', expires_at: null, last_used_at: null, ...sent });
      return { ...sent, token: 'tok_mock0123456789' };
    case 'POST users':
      world.users.push({ id: `u${world.users.length + 1}`, disabled: false, ...sent });
      return sent;
    case 'PATCH users':
      Object.assign(world.users.find((user) => user.id === name) ?? {}, sent);
      return sent;
    case 'POST alerts':
      if (!verb) world.alerts.push(sent);
      return sent;
  }
  if (method === 'DELETE') {
    const group = world[noun as keyof World] as Row[];
    const at = group.findIndex((item) => item.name === name || item.id === name);
    if (Number(group[at]?.syncs ?? 0) + Number(group[at]?.models ?? 0) > 0) throw new Refusal(409, 'API-002', `${name} is in use`, { hints: ['Delete what uses it first.'] });
    group.splice(at, 1);
    return undefined;
  }
  if (method === 'GET' && !name) return list((world[noun as keyof World] as Row[] | undefined) ?? [], url.searchParams);
  return nouns(method, noun as 'sources', name, verb, { sent, settings, url, request, response });
}

interface Sent {
  sent: Row;
  settings: Row;
  url: URL;
  request: IncomingMessage;
  response: ServerResponse;
}

async function nouns(method: string, noun: 'sources' | 'models' | 'destinations' | 'syncs', name: string, verb: string, given: Sent): Promise<unknown> {
  const { sent, settings, url, request, response } = given;
  if (method === 'POST' && !name) {
    const wanted = String(sent.name);
    if (world[noun].some((item) => item.name === wanted)) throw new Refusal(409, 'API-002', `there is a ${noun.replace(/s$/, '')} ${wanted} already`, { hints: ['Choose another name.'], errors: [{ pointer: '/name', detail: 'taken' }] });
    const made = definition(wanted, settings, { ...facts(noun, settings), draft: sent.draft === true });
    world[noun].push(made);
    response.statusCode = 201;
    return made;
  }
  if (method === 'PUT') {
    const existing = find(noun, name);
    Object.assign(existing, facts(noun, settings), { settings, revision: Number(existing.revision) + 1, draft: sent.draft === true, name: sent.name ?? name });
    return existing;
  }
  const steps = name === 'check' ? checkSteps(noun, settings) : verb === 'check' ? checkSteps(noun, find(noun, name).settings as Row) : null;
  if (steps && request.headers.accept?.includes('event-stream')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const seen: Row[] = [];
    for (const step of steps) {
      await pause(250);
      seen.push(step);
      response.write(`event: step\ndata: ${JSON.stringify(step)}\n\n`);
      if (!step.ok) break;
    }
    response.end(`event: done\ndata: ${JSON.stringify({ name, kind: 's3', ok: seen.every((step) => step.ok), steps: seen })}\n\n`);
    return response;
  }
  switch (`${noun} ${verb || name}`) {
    case 'sources policy':
      return policies(settings);
    case 'sources external-id':
      return { external_id: '5c1f0a52-7d10-4c55-9c4e-3a1b6f0d2e77' };
    case 'sources regions':
      return { items: [{ id: 'eu-central-1', name: 'Europe (Frankfurt)' }, { id: 'us-east-1', name: 'US East (N. Virginia)' }, { id: 'us-west-2', name: 'US West (Oregon)' }], next: null };
    case 'sources streams':
      await pause(200);
      return { streams };
    case 'sources query':
      return query(String(sent.sql));
    case 'models preview':
      return query(String(settings.sql ?? 'SELECT 1'));
    case 'models key-check':
      return { rows: 100_000, null_keys: 0, duplicate_keys: String((settings.primary_key as string[])[0]) === 'id' ? 0 : 812, unique: String((settings.primary_key as string[])[0]) === 'id' };
    case 'models versions':
      return { items: [{ version: 2, sql: (find('models', name).settings as Row).sql, primary_key: ['id'], at: new Date(Date.now() - 7_200_000).toISOString(), by: 'Ada Example' }, { version: 1, sql: "SELECT id, email\nFROM 's3://acme-lake/exports/crm/customers/*.parquet'", primary_key: ['id'], at: new Date(Date.now() - 720_000_000).toISOString(), by: 'Grace Example' }], next: null };
    case 'destinations streams':
      return { items: [{ name: 'public.customers', fields: [{ name: 'id', type: 'bigint', required: true }, { name: 'email', type: 'text', required: true }, { name: 'first_name', type: 'text', required: false }, { name: 'greeting', type: 'text', required: false }] }], next: null };
    case 'syncs preview':
      await pause(150);
      return { fields: [], errors: [], payloads: rows.rows.slice(0, 3).map((row) => Object.fromEntries(Object.entries((settings.fields as Record<string, unknown> | null) ?? Object.fromEntries(rows.columns.map((column) => [column.name, column.name]))).map(([field, source]) => [field, typeof source === 'string' ? row[rows.columns.findIndex((column) => column.name === source)] ?? null : (source as Row).value ?? (source as Row).template]))) };
    case 'syncs plan':
      await pause(400);
      return { sync: name, fingerprint: 'f0', rows: { ...noRows, read: 100_000, inserted: 100_000 }, samples: [{ op: 'insert', key: { id: 1 }, changes: [{ field: 'email', new: 'ada@example.org' }] }], error: null };
    case 'syncs pause':
    case 'syncs resume':
      Object.assign(find('syncs', name), { paused: verb === 'pause', state: verb === 'pause' ? 'off' : 'healthy' });
      return find('syncs', name);
    case 'syncs runs':
    case 'syncs retry': {
      const sync = find('syncs', name);
      const number = Number((sync.last_run as Row | null)?.generation ?? 0) + 1;
      const started = run(name, number, 'running', 0, {}, { ended_at: null, bytes_read: 0, duration_ms: 0, cause: verb === 'retry' ? 'retry' : 'request', by: 'Ada Example' });
      world.runs.unshift(started);
      Object.assign(sync, { last_run: started, state: 'running' });
      void play(sync, started);
      response.statusCode = 202;
      return started;
    }
    case 'syncs rejects': {
      if (url.searchParams.get('source')) return { items: [{ file: 'exports/crm/orders/2026/07.csv', line: 812, byte_offset: 40_112, column: 'total', reason: 'expected 4 fields, found 5' }], next: null };
      const items = world.rejects[name] ?? [];
      return list(role === 'viewer' ? items.map(({ key: _, payload: __, exchange: ___, ...rest }) => rest) : items, url.searchParams);
    }
  }
  return find(noun, name);
}

async function serve(request: IncomingMessage, response: ServerResponse, next: Next) {
  const url = new URL(request.url ?? '/', 'http://mock');
  if (url.pathname === '/mock/world') {
    start(url.searchParams.get('name') ?? 'busy', url.searchParams.get('role') ?? 'admin');
    response.end('ok');
    return;
  }
  if (!url.pathname.startsWith('/api/v1/')) return next();
  try {
    const found = await answer(request, response, url);
    if (found === response) return;
    if (found === undefined) response.statusCode = 204;
    response.setHeader('content-type', 'application/json');
    response.end(found === undefined ? '' : JSON.stringify(found));
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    const { status, code, message: detail, more } = error instanceof Refusal ? error : new Refusal(500, 'INT-001', String(error));
    response.statusCode = status;
    response.setHeader('content-type', 'application/problem+json');
    response.end(JSON.stringify({ status, code, detail, ...more }));
  }
}

/** The page with a nonce and the policy that the server sends. */
function page(response: ServerResponse) {
  const nonce = Math.random().toString(36).slice(2);
  const html = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8').replace('__CSP_NONCE__', nonce);
  response.setHeader('content-type', 'text/html');
  response.setHeader(
    'content-security-policy',
    `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
  );
  response.end(html);
}

export function mockServer(): Plugin {
  return {
    name: 'tapline-mock',
    configureServer: (server) => {
      server.middlewares.use((request, response, next) => void serve(request, response, next));
    },
    configurePreviewServer: (server) => {
      server.middlewares.use((request, response, next) => void serve(request, response, next));
      server.middlewares.use((request, response, next) => {
        const path = new URL(request.url ?? '/', 'http://mock').pathname;
        if (path.includes('.')) next();
        else page(response);
      });
    },
  };
}
