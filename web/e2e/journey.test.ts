// The whole way of somebody new, on the real server: first start, administrator, S3 source, test, model, destination, sync,
// plan, live run, changed data, incremental run, rejected rows, retry. Once by a role with an external id, once by the key
// of an IAM user. Then what holds for every page: the keyboard, and what viewers see.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findings, openBrowser, openWindow, settled } from './browser';
import { bucket, databaseSettings, ownTable, sourceSettings, World, type Lake } from './world';

const file = 'exports/crm/customers.csv';
const first = ['1,ada@example.org,Ada', '2,grace@example.org,Grace', '3,linus@example.org,<b>Linus</b>'];
// One row changed, one new, and a key that two rows claim.
const second = [...first.slice(0, 1), '2,grace@example.org,Grace H.', ...first.slice(2), '4,edsger@example.org,Edsger', '5,one@example.org,One', '5,two@example.org,Two'];
const third = second.slice(0, -1);

const customers = (rows: string[]) => ['id,email,first_name', ...rows].join('\n') + '\n';

let browser: Browser;
const worlds: World[] = [];

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await Promise.all(worlds.map((world) => world.close()));
});

function newWorld(): World {
  const world = new World();
  worlds.push(world);
  world.write(`lake/${file}`, customers(first));
  return world;
}

async function createAdministrator(page: Page, code: string) {
  await page.goto(`/setup?code=${code}`);
  await page.getByLabel('Name').fill('Ada Example');
  await page.getByLabel('E-mail').fill('ada@example.org');
  await page.getByLabel('Password').first().fill('correct horse battery');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'From files to everywhere else' }).waitFor();
  await page.getByRole('link', { name: 'Add a source' }).click();
  await page.getByLabel('Bucket', { exact: true }).fill(`s3://${bucket}/exports/crm`);
}

async function fillEndpoint(page: Page, lake: Lake) {
  await page.getByRole('button', { name: /S3-compatible/ }).click();
  await page.getByLabel('Endpoint', { exact: true }).fill(lake.url);
  await page.getByLabel('Access key id').fill(lake.key);
  await page.getByLabel('Secret access key').fill(lake.secret);
}

async function lookInside(page: Page) {
  await page.getByText('The connection works.').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('lake');
  await page.getByRole('button', { name: 'Save and look inside' }).click();
  await page.getByRole('button', { name: /customers/ }).waitFor();
  await page.getByRole('region', { name: 'Rows' }).first().waitFor();
}

/** From a source that works to rows that were rejected and delivered at last. */
async function deliver(page: Page, world: World, lake: Lake) {
  await page.getByRole('link', { name: 'Make it a model' }).click();
  await page.getByLabel('Name').fill('customers');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('region', { name: 'Rows' }).getByText('<b>Linus</b>').waitFor();
  await page.getByLabel('Columns that identify a row').first().click();
  await page.getByRole('option', { name: 'id', exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Check uniqueness' }).click();
  await page.getByText(/^Unique: 3 rows/).waitFor();
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.getByRole('link', { name: 'Set up a sync' }).waitFor();

  const database = databaseSettings(world);
  await page.goto('/destinations/new');
  await page.getByRole('button', { name: database.type === 'postgres' ? /^PostgreSQL/ : /^SQLite/ }).click();
  await page.getByLabel('Name', { exact: true }).fill('crm');
  for (const [field, value] of Object.entries(database)) {
    if (field !== 'type') await page.getByLabel(new RegExp(`^${field}\\b`, 'i')).fill(String(value));
  }
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('The connection works.').waitFor();
  await page.getByRole('button', { name: 'Save destination' }).click();
  await page.getByRole('link', { name: 'Set up a sync' }).waitFor();

  await page.goto('/syncs/new?model=customers&destination=crm');
  await page.getByRole('combobox', { name: 'Table' }).fill(ownTable('customers'));
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^More/ }).click();
  await page.getByRole('combobox', { name: 'Empty or repeated keys' }).click();
  await page.getByRole('option', { name: 'reject those rows' }).click();
  await page.getByRole('complementary', { name: 'Preview' }).getByText('3 real rows').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('customers_out');
  await page.getByRole('button', { name: 'Make the plan' }).click();
  await page.getByText(/^The first run will insert 3 rows/).waitFor();
  await page.getByRole('button', { name: 'Save and run' }).click();
  await page.waitForURL(/\/runs\//);
  await page.getByText('3 read = 3 inserted').waitFor();
  expect(await findings(page)).toEqual([]);

  await lake.put(file, customers(second));
  await page.goto('/syncs/customers_out');
  await page.getByRole('button', { name: 'Run sync' }).click();
  await page.getByText('6 read = 2 unchanged + 1 inserted + 1 updated + 2 rejected').waitFor();
  await page.getByRole('heading', { name: 'Rejected rows' }).waitFor();
  await page.getByText('id = 5').first().waitFor();
  expect(await findings(page)).toEqual([]);

  await lake.put(file, customers(third));
  await page.getByRole('button', { name: 'Retry these' }).click();
  await page.getByRole('heading', { name: /run 3$/ }).waitFor();
  await page.getByText(/1 inserted/).first().waitFor();
  await page.goto('/syncs/customers_out');
  await page.getByText('healthy').first().waitFor();
}

test('by a role with an external id, from the first start to a retried row', async () => {
  const world = newWorld();
  const server = await world.server();
  const { context, page, troubles } = await openWindow(browser, server.pages);
  await createAdministrator(page, server.code);
  const arn = 'arn:aws:iam::123456789012:role/lake-reader';
  await page.getByLabel('Role ARN').fill(arn);
  await page.getByLabel('Assumed by').first().click();
  await page.getByRole('option', { name: 'an access key' }).click();
  const external = String(await page.locator('[data-external-id]').textContent());
  expect(external).toMatch(/^[0-9a-f-]{36}$/);

  // Who runs the real thing pastes both policies into IAM; here they become those of the endpoint.
  const copied = async (title: string) => {
    await page.getByRole('button', { name: `Copy ${title}` }).click();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  await page.getByLabel('Trust policy', { exact: true }).getByText(external).waitFor();
  const trust = await copied('trust policy');
  const permission = await copied('permission policy');
  const refusing = await world.lake({ arn, trust: trust.replace(external, 'another-external-id'), permission });
  await fillEndpoint(page, refusing);
  await page.getByLabel('STS endpoint').fill(refusing.url);
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText(/failed: .*AssumeRole/).waitFor();

  const lake = await world.lake({ arn, trust, permission });
  await page.getByLabel('Endpoint', { exact: true }).fill(lake.url);
  await page.getByLabel('STS endpoint').fill(lake.url);
  await page.getByLabel('Access key id').fill(lake.key);
  await page.getByLabel('Secret access key').fill(lake.secret);
  await page.getByRole('button', { name: 'Test again' }).click();
  await lookInside(page);
  await deliver(page, world, lake);
  expect(troubles).toEqual([]);
  await context.close();
});

test('by the key of an IAM user, from the first start to a retried row', async () => {
  const world = newWorld();
  const [server, lake] = await Promise.all([world.server(), world.lake()]);
  const { context, page, troubles } = await openWindow(browser, server.pages, 'dark');
  await createAdministrator(page, server.code);
  await page.getByLabel('Access key', { exact: true }).check();
  await fillEndpoint(page, lake);
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await lookInside(page);
  await deliver(page, world, lake);
  expect(troubles).toEqual([]);
  await context.close();
});

test('the keyboard alone opens, searches and closes, and viewers are offered nothing that would be refused', async () => {
  const world = newWorld();
  const [server, lake] = await Promise.all([world.server(), world.lake()]);
  await server.ask('POST', '/sources', { name: 'lake', settings: sourceSettings(lake) });
  await server.ask('POST', '/models', { name: 'customers', settings: { source: 'lake', sql: `SELECT * FROM 's3://${bucket}/${file}'`, primary_key: 'id' } });
  await server.ask('POST', '/destinations', { name: 'local', settings: { type: 'sqlite', path: `${world.folder}/out.db` } });
  for (const name of ['daily_people', 'weekly_people']) {
    await server.ask('POST', '/syncs', { name, settings: { model: 'customers', destination: 'local', stream: name, mode: 'incremental', on_bad_key: 'reject' } });
  }
  await lake.put(file, customers(second));
  await server.run('daily_people');
  const password = 'correct horse battery';
  await server.ask('POST', '/setup', { code: server.code, email: 'ada@example.org', name: 'Ada', password });
  await server.ask('POST', '/users', { email: 'vera@example.org', name: 'Vera', role: 'viewer', password });

  const { context, page, troubles } = await openWindow(browser, server.pages, 'dark');
  await page.goto('/syncs');
  await page.locator('input:focus').waitFor();
  await page.keyboard.type('ada@example.org');
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'syncs' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('weekly');
  await page.waitForURL(/q=weekly/);
  expect(await page.getByRole('row').count()).toBe(2);
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.waitForURL(/\/models$/);
  await page.keyboard.press('Control+k');
  await page.locator('input:focus').waitFor();
  await page.keyboard.type('daily');
  await page.getByRole('option', { name: /daily_people/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'daily_people' }).waitFor();
  await page.getByText('id = 5').first().waitFor();
  expect(troubles).toEqual([]);
  await context.close();

  const viewer = await openWindow(browser, server.pages);
  await viewer.page.request.post('/api/v1/session', { data: { email: 'vera@example.org', password } });
  for (const path of ['/sources', '/sources/lake', '/models/customers', '/destinations/local', '/syncs/daily_people', '/settings']) {
    await viewer.page.goto(path);
    await settled(viewer.page);
    // The heads of columns are buttons, too: "Run" sorts.
    const buttons = viewer.page.getByRole('button', { name: /^(Add|Run|Retry|Delete|Save|Test|Write|Edit|Pause|Preview)\b/ });
    const offered = await buttons.and(viewer.page.locator(':not(th *)')).count();
    const linked = await viewer.page.getByRole('main').getByRole('link', { name: /^(Add|Set up|Write|Edit)\b/ }).count();
    expect([path, offered + linked]).toEqual([path, 0]);
  }
  await viewer.page.goto('/syncs/daily_people');
  await viewer.page.getByText('Keys and values are shown to editors.').waitFor();
  expect(await viewer.page.getByText('id = 5').count()).toBe(0);
  await viewer.context.close();
});
