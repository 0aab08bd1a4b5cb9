// A server in the middle of its work: syncs in every state, with runs, rejected rows, users, tokens and alerts.
// Not here: starting it (world.ts).
// Called by the tests of all pages.

import { createServer, type Server as HttpServer } from 'node:http';
import { bucket, databaseSettings, ownTable, sourceSettings, type Server, type World } from './world';

export const longName = 'a_name_that_is_exactly_as_long_as_names_of_people_tend_to_be';

/** A service that takes every order but those without a total. */
export async function startService(): Promise<{ service: HttpServer; port: number }> {
  const service = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () => {
      const refused = request.method === 'POST' && (JSON.parse(body) as { total: number | null }).total === null;
      response.writeHead(refused ? 422 : 201, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refused ? { error: { message: 'total is required' } } : { ok: true }));
    });
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const address = service.address();
  return { service, port: address && typeof address === 'object' ? address.port : 0 };
}

const names = ['Ada', 'Grace', '<b>Linus</b>', 'Barbara', 'Edsger', 'Katherine', 'Ken', 'Margaret'];
const countries = ['GB', 'US', 'FI', 'US', 'NL', 'US', 'US', 'US'];

export function customersFile(rows: number, changed = 0): string {
  const lines = Array.from({ length: rows }, (_, index) => {
    const name = names[index % names.length];
    const email = index % 11 === 3 ? '' : `person${index}@example.org`;
    const score = (index % 40) / 4 + (index < changed ? 1 : 0);
    return `${index + 1},${email},${name},${countries[index % countries.length]},${score},2026-11-${String((index % 22) + 1).padStart(2, '0')} 08:12:04`;
  });
  return `id,email,first_name,country,score,updated_at\n${lines.join('\n')}\n`;
}

function ordersFile(rows: number): string {
  const lines = Array.from({ length: rows }, (_, index) => `A-${1000 + index},${index + 1},${index % 30 === 7 ? '' : (index * 12.5).toFixed(2)},2026-11-20 10:00:00`);
  lines.splice(20, 0, 'A-broken,1,2,3,4,5,6');
  return `order_id,customer_id,total,Placed At\n${lines.join('\n')}\n`;
}

export async function makeBusy(world: World, server: Server, servicePort: number): Promise<void> {
  world.write('lake/exports/crm/customers/2026-11-01.csv', customersFile(1200));
  world.write('lake/exports/crm/orders/2026/11.csv', ordersFile(120));
  world.write('lake/exports/crm/invoices.csv', 'invoice_id,amount\n1,10.50\n2,20.00\n3,7.25\n');
  const lake = await world.lake();
  const make = (noun: string, name: string, settings: object, draft = false) => server.ask('POST', `/${noun}`, { name, settings, draft });

  await make('sources', 'lake', sourceSettings(lake));
  await make('sources', longName, sourceSettings(lake, { path: 'exports/crm/orders' }));
  await make('sources', 'archive', sourceSettings(lake, { bucket: 'acme-archive' }), true);
  await make('models', 'customers', { source: 'lake', sql: `SELECT id, email, first_name\nFROM 's3://${bucket}/exports/crm/customers/*.csv'`, primary_key: 'id' });
  const better = `SELECT id, email, first_name, score, updated_at\nFROM 's3://${bucket}/exports/crm/customers/*.csv'\nWHERE country <> 'XX'`;
  await server.ask('PUT', '/models/customers', { settings: { source: 'lake', sql: better, primary_key: 'id' }, revision: 1 });
  await make('models', 'orders', { source: 'lake', sql: `SELECT order_id, customer_id, total\nFROM 's3://${bucket}/exports/crm/orders/2026/*.csv'`, primary_key: 'order_id' });
  await make('models', 'invoices', { source: 'lake', sql: `SELECT * FROM 's3://${bucket}/exports/crm/invoices.csv'`, primary_key: 'invoice_id' });
  await make('models', 'countries', { source: 'lake', sql: `SELECT country, count(*) AS customers\nFROM 's3://${bucket}/exports/crm/customers/*.csv'\nGROUP BY country` });
  const database = databaseSettings(world);
  await make('destinations', 'crm', database);
  await make('destinations', 'order_service', { type: 'http', url: `http://127.0.0.1:${servicePort}/orders`, allow_http: true, message: 'error.message', auth: { type: 'bearer', token: 'only-for-tests' } });
  await make('destinations', 'warehouse', { type: 'postgres', host: '127.0.0.1', port: 1, user: 'loader', password: 'none', database: 'finance' });
  await make('destinations', 'reports', { type: 'files', path: 's3://acme-reports/daily' }, true);

  const sync = (name: string, model: string, destination: string, stream: string, more: object = {}) =>
    make('syncs', name, { model, destination, stream, mode: 'incremental', ...more });
  await sync('customers_to_crm', 'customers', 'crm', ownTable('customers'), { schedule: { every: '15m' } });
  await sync('orders_to_service', 'orders', 'order_service', 'orders', { schedule: { cron: '0 6 * * *', timezone: 'Europe/Berlin' } });
  await sync('invoices_to_crm', 'invoices', 'crm', ownTable('invoices'), { deletes: 'propagate' });
  await sync('customers_to_warehouse', 'customers', 'warehouse', 'finance.customers', { timeout: '3s' });
  await sync(longName, 'customers', 'crm', ownTable('customers_of_the_last_quarter'), { schedule: { every: '1h' } });
  await sync('weekly_countries', 'countries', 'crm', ownTable('countries'), { mode: 'full_refresh' });

  for (const changed of [0, 40, 90, 30]) {
    await lake.put('exports/crm/customers/2026-11-01.csv', customersFile(1200 + changed, changed));
    await server.run('customers_to_crm');
  }
  await server.run('orders_to_service');
  await server.run('invoices_to_crm');
  await lake.put('exports/crm/invoices.csv', 'invoice_id,amount\n');
  await server.run('invoices_to_crm');
  await server.run('customers_to_warehouse');
  await server.ask('POST', `/syncs/${longName}/pause`);
  for (const source of ['lake', longName]) await server.ask('POST', `/sources/${source}/check`);
  for (const destination of ['crm', 'warehouse']) await server.ask('POST', `/destinations/${destination}/check`);

  await server.ask('POST', '/users', { email: 'grace@example.org', name: 'Grace Example', role: 'editor', password: 'correct horse battery' });
  await server.ask('POST', '/users', { email: 'linus@example.org', name: 'Linus Example', role: 'viewer', password: 'correct horse battery' });
  await server.ask('POST', '/tokens', { name: 'nightly export', role: 'viewer', expires_in_days: 90 });
  await server.ask('POST', '/tokens', { name: 'old script', role: 'editor' });
  await server.ask('POST', '/alerts', { name: 'on_call', when: ['failed', 'stopped', 'late'], syncs: ['*'], channel: { type: 'webhook', url: 'https://hooks.example.com/tapline' } });
}

