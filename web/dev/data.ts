// What the mock server begins with: a small company's syncs, or none, or very many.

type Row = Record<string, unknown>;

const minutes = (ago: number) => new Date(Date.now() - ago * 60_000).toISOString();

export const noRows = { read: 0, unchanged: 0, inserted: 0, updated: 0, skipped: 0, rejected: 0, deleted: 0, delete_rejected: 0 };

export function definition(name: string, settings: Row, facts: Row): Row {
  return {
    name,
    origin: 'state',
    read_only: false,
    draft: false,
    revision: 1,
    updated_at: minutes(2000),
    updated_by: 'Ada Example',
    settings,
    ...facts,
  };
}

let runNumber = 0;

export function run(sync: string, generation: number, status: string, ago: number, rows: Row, more: Row = {}): Row {
  runNumber += 1;
  const id = `01J${String(runNumber).padStart(23, '0')}`;
  return {
    id,
    sync,
    run: id,
    generation,
    status,
    mode: 'incremental',
    files: { listed: 12, read: 12, skipped: 0 },
    bytes_read: 73_400_320,
    source_rows: { read: 100_020, rejected: 0 },
    rows: { ...noRows, ...rows },
    duration_ms: 14_200,
    error: null,
    started_at: minutes(ago),
    ended_at: minutes(ago - 0.3),
    cause: 'schedule',
    by: null,
    ...more,
  };
}

export interface World {
  sources: Row[];
  models: Row[];
  destinations: Row[];
  syncs: Row[];
  runs: Row[];
  rejects: Record<string, Row[]>;
  users: Row[];
  tokens: Row[];
  alerts: Row[];
  audit: Row[];
}

export const streams = [
  {
    name: 'customers',
    path: 's3://acme-lake/exports/crm/customers/*.parquet',
    format: 'parquet',
    files: 12,
    bytes: 73_400_320,
    columns: [
      { name: 'id', type: 'BIGINT', nullable: false },
      { name: 'email', type: 'VARCHAR', nullable: true },
      { name: 'first_name', type: 'VARCHAR', nullable: true },
      { name: 'country', type: 'VARCHAR', nullable: true },
      { name: 'score', type: 'DOUBLE', nullable: true },
      { name: 'updated_at', type: 'TIMESTAMP', nullable: true },
    ],
  },
  {
    name: 'orders/2026',
    path: 's3://acme-lake/exports/crm/orders/2026/*.csv',
    format: 'csv',
    files: 327,
    bytes: 1_240_000_000,
    columns: [
      { name: 'order_id', type: 'VARCHAR', nullable: false },
      { name: 'customer_id', type: 'BIGINT', nullable: true },
      { name: 'total', type: 'DOUBLE', nullable: true },
      { name: 'Placed At', type: 'TIMESTAMP', nullable: true },
    ],
  },
];

export const rows = {
  columns: streams[0]?.columns.map(({ name, type }) => ({ name, type })) ?? [],
  rows: [
    [1, 'ada@example.org', 'Ada', 'GB', 9.5, '2026-11-20 08:12:04'],
    [2, 'grace@example.org', 'Grace', 'US', 8.25, '2026-11-21 17:40:31'],
    [3, null, '<b>Linus</b>', 'FI', null, '2026-11-22 06:01:59'],
    [4, 'barbara@example.org', 'Barbara', 'US', 7, '2026-11-22 11:20:00'],
    [5, 'edsger@example.org', 'Edsger', 'NL', 9, '2026-11-22 21:45:10'],
  ],
};

const trend = (sync: string, values: number[], last = 'succeeded') =>
  values.map((delivered, index) => ({ run: `${sync}-${index}`, status: index === values.length - 1 ? last : 'succeeded', delivered }));

export function busy(): World {
  const role = { type: 's3', region: 'eu-central-1', bucket: 'acme-lake', path: 'exports/crm', file_type: 'any', auth: { type: 'iam_role', role_arn: 'arn:aws:iam::123456789012:role/lake-reader', external_id: '5c1f0a52-7d10-4c55-9c4e-3a1b6f0d2e77' } };
  const key = { type: 's3', region: 'auto', bucket: 'archive', endpoint: 'https://minio.internal:9000', auth: { type: 'iam_user', access_key_id: 'AKIAEXAMPLE', secret_access_key: { secret: true } } };
  const passed = { ok: true, at: minutes(14), steps: [{ name: 'reach s3.eu-central-1.amazonaws.com', ok: true, code: null, message: 'in 31 ms', hint: null }, { name: 'list', ok: true, code: null, message: '339 objects', hint: null }] };
  const refused = { ok: false, at: minutes(55), steps: [{ name: 'connect', ok: false, code: 'DEST-001', message: 'connecting to db.internal:5432: connection refused', hint: 'See that the server listens there and lets this machine in.' }] };
  const runs = [
    run('customers_to_crm', 41, 'succeeded', 2, { read: 100_000, unchanged: 98_760, inserted: 840, updated: 400 }),
    run('orders_to_slack', 12, 'partial', 11, { read: 312, inserted: 302, rejected: 10 }, { source_rows: { read: 312, rejected: 2 } }),
    run('invoices_to_warehouse', 8, 'stopped', 42, { read: 0 }, { error: { code: 'RUN-003', message: 'the model yields no rows where the last run knew 48,210', hint: 'See whether the export of the files failed, or run with --allow-empty.' } }),
    run('products_to_files', 3, 'failed', 190, { read: 400 }, { error: { code: 'DEST-001', message: 'connecting to db.internal:5432: connection refused', hint: 'See that the server listens there and lets this machine in.' } }),
    run('customers_to_crm', 40, 'unchanged', 17, {}),
    run('customers_to_crm', 39, 'succeeded', 32, { read: 99_160, unchanged: 98_660, updated: 500 }, { cause: 'request', by: 'Ada Example' }),
  ];
  const sync = (name: string, model: string, destination: string, stream: string, facts: Row, settings: Row = {}) =>
    definition(name, { model, destination, stream, mode: 'incremental', schedule: { every: '15m' }, ...settings }, { model, destination, stream, mode: 'incremental', schedule: 'every 15 minutes', paused: false, next_run: new Date(Date.now() + 13 * 60_000).toISOString(), open_rejects: 0, trend: [], last_run: null, ...facts });
  return {
    sources: [
      definition('lake', role, { kind: 's3', external_id: role.auth.external_id, last_check: passed, models: 3 }),
      definition('archive', key, { kind: 's3', external_id: null, last_check: refused, models: 0 }),
      definition('a_source_whose_name_is_as_long_as_names_are_allowed_to_be_60', { ...role, path: '' }, { kind: 's3', external_id: role.auth.external_id, last_check: null, models: 0, draft: true }),
    ],
    models: [
      definition('customers', { source: 'lake', sql: "SELECT id, email, first_name, updated_at\nFROM 's3://acme-lake/exports/crm/customers/*.parquet'\nWHERE country <> 'XX'", primary_key: ['id'] }, { source: 'lake', primary_key: ['id'], version: 2, syncs: 1 }),
      definition('orders', { source: 'lake', sql: "SELECT * FROM 's3://acme-lake/exports/crm/orders/2026/*.csv'", primary_key: ['order_id'] }, { source: 'lake', primary_key: ['order_id'], version: 1, syncs: 1 }),
      definition('products', { source: 'lake', sql: 'SELECT 1 AS id', primary_key: [] }, { source: 'lake', primary_key: [], version: 1, syncs: 1, origin: 'file', read_only: true }),
    ],
    destinations: [
      definition('crm', { type: 'postgres', host: 'db.internal', database: 'crm', user: 'app', password: { secret: true } }, { kind: 'postgres', syncs: 2, last_check: passed }),
      definition('team_chat', { type: 'slack', token: { secret: true } }, { kind: 'slack', syncs: 1, last_check: null }),
      definition('warehouse', { type: 'postgres', url: { secret: true } }, { kind: 'postgres', syncs: 0, last_check: refused }),
    ],
    syncs: [
      sync('customers_to_crm', 'customers', 'crm', 'public.customers', { state: 'healthy', last_run: runs[0], trend: trend('a', [900, 740, 1010, 400, 860, 1200, 500, 620, 1100, 500, 0, 1240]) }),
      sync('orders_to_slack', 'orders', 'team_chat', 'sales', { state: 'partial', last_run: runs[1], open_rejects: 10, trend: trend('b', [10, 12, 8, 302], 'partial'), schedule: 'at 06:00, Europe/Berlin' }),
      sync('invoices_to_warehouse', 'orders', 'warehouse', 'finance.invoices', { state: 'stopped', last_run: runs[2], trend: trend('c', [100, 140, 120, 0], 'stopped') }),
      sync('products_to_files', 'products', 'crm', 'public.products', { state: 'failed', last_run: runs[3], trend: trend('d', [20, 0], 'failed'), read_only: true, origin: 'file' }),
      sync('a_sync_whose_name_is_as_long_as_names_are_ever_allowed_to_be', 'customers', 'crm', 'public.customers_of_the_last_quarter', { state: 'off', paused: true, schedule: 'every 15 minutes' }),
      sync('weekly_export', 'customers', 'crm', 'public.weekly', { state: 'new', schedule: 'manual', next_run: null }),
    ],
    runs,
    rejects: {
      orders_to_slack: Array.from({ length: 10 }, (_, index) => ({
        key: { order_id: `A-${1000 + index}` },
        reason: index % 2 ? 'text is longer than 3,000 characters' : 'channel_not_found',
        code: 'ROW-002',
        payload: { order_id: `A-${1000 + index}`, text: '<img src=x onerror=alert(1)> New order', total: 12.5 * index, placed_at: null },
        attempts: 1 + (index % 3),
        first_at: minutes(800 + index),
        last_at: minutes(11),
        exchange: index === 0 ? { request: 'POST https://slack.com/api/chat.postMessage\nauthorization: (redacted)\n\n{"channel":"sales","text":"(redacted)"}', response: '200 OK\n\n{"ok":false,"error":"channel_not_found"}' } : null,
      })),
    },
    users: [
      { id: 'u1', email: 'ada@example.org', name: 'Ada Example', role: 'admin', disabled: false },
      { id: 'u2', email: 'grace@example.org', name: 'Grace Example', role: 'editor', disabled: false },
      { id: 'u3', email: 'linus@example.org', name: 'Linus Example', role: 'viewer', disabled: true },
    ],
    tokens: [
      { id: 't1', name: 'nightly export', role: 'viewer', created_at: minutes(9000), created_by: 'Ada Example', expires_at: new Date(Date.now() + 40 * 86_400_000).toISOString(), last_used_at: minutes(300) },
      { id: 't2', name: 'old script', role: 'editor', created_at: minutes(90_000), created_by: 'Ada Example', expires_at: minutes(900), last_used_at: null },
    ],
    alerts: [{ name: 'on call', when: ['failed', 'stopped', 'late'], syncs: ['*'], channel: { type: 'webhook', url: { secret: true } } }],
    audit: [
      { id: 'a3', at: minutes(12), actor: { kind: 'user', name: 'Ada Example' }, action: 'syncs.run', target: 'customers_to_crm', address: '127.0.0.1', details: {} },
      { id: 'a2', at: minutes(2000), actor: { kind: 'token', name: 'nightly export' }, action: 'export', target: null, address: '10.0.0.7', details: {} },
      { id: 'a1', at: minutes(2100), actor: { kind: 'system', name: 'scheduler' }, action: 'runs.recover', target: 'orders_to_slack', address: null, details: { generation: 11 } },
    ],
  };
}

export function empty(): World {
  const { users } = busy();
  return { sources: [], models: [], destinations: [], syncs: [], runs: [], rejects: {}, users: users.slice(0, 1), tokens: [], alerts: [], audit: [] };
}

export function many(): World {
  const world = busy();
  const states = ['healthy', 'healthy', 'healthy', 'partial', 'failed', 'off'];
  const [first] = world.syncs;
  world.syncs = Array.from({ length: 10_000 }, (_, index) => ({ ...first, name: `sync_${String(index).padStart(5, '0')}`, state: states[index % states.length] }));
  return world;
}

export const connectors = [
  { kind: 'postgres', title: 'PostgreSQL', summary: 'Tables, published in one transaction.', maturity: 'stable', capabilities: { transactional: true, deletes: true, full_refresh: true } },
  { kind: 'sqlite', title: 'SQLite', summary: 'Tables in one file, published in one transaction.', maturity: 'stable', capabilities: { transactional: true, deletes: true, full_refresh: true } },
  {
    kind: 'http',
    title: 'HTTP API',
    summary: 'Requests made from templates, alone or in batches.',
    maturity: 'beta',
    capabilities: { transactional: false, deletes: true, full_refresh: false },
    schema: {
      type: 'object',
      properties: {
        type: { const: 'http' },
        url: { type: 'string', description: 'Address of the API.' },
        method: { oneOf: [{ const: 'POST', description: 'Creates.' }, { const: 'PUT', description: 'Replaces.' }, { const: 'PATCH', description: 'Changes.' }], description: 'The method.' },
        headers: { type: 'object', additionalProperties: { type: 'string' }, description: 'Sent with each request.' },
        auth: {
          description: 'How requests are signed in.',
          oneOf: [
            { type: 'object', properties: { type: { const: 'bearer' }, token: { type: 'string', format: 'password', writeOnly: true, description: 'The token.' } }, required: ['type', 'token'] },
            { type: 'object', properties: { type: { const: 'basic' }, user: { type: 'string' }, password: { type: 'string', format: 'password', writeOnly: true } }, required: ['type', 'user', 'password'] },
          ],
        },
        batch_size: { type: ['integer', 'null'], minimum: 1, description: 'Rows per request.' },
      },
      required: ['type', 'url'],
    },
  },
  {
    kind: 'slack',
    title: 'Slack',
    summary: 'A message per row to a channel.',
    maturity: 'beta',
    capabilities: { transactional: false, deletes: false, full_refresh: false },
    schema: { type: 'object', properties: { type: { const: 'slack' }, token: { type: 'string', format: 'password', writeOnly: true, description: 'A bot token, xoxb-….' } }, required: ['type', 'token'] },
  },
];
