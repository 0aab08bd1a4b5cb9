// The whole way of somebody new: first start, administrator, S3 source, test, model, destination, sync, plan, live run,
// rejected rows, retry. Against the mock server; or, with TAPLINE_BINARY and TAPLINE_S3 (the example `serve` of
// tapline-endpoint), against the real ones, where the data then change and a second run delivers the difference.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PreviewServer } from 'vite';
import { openBrowser, openPages, openWindow, patience, settled, world } from './browser';

const binary = process.env.TAPLINE_BINARY;
const endpoint = process.env.TAPLINE_S3;

let browser: Browser;
let mock: { server: PreviewServer; url: string } | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(async () => {
  for (const child of children) child.kill('SIGTERM');
  await browser?.close();
  await mock?.server.close();
});

/** Starts a program and yields the first match in what it prints. */
function begin(program: string, words: string[], folder: string, pattern: RegExp): Promise<{ child: ChildProcess; match: RegExpExecArray }> {
  const child = spawn(program, words, { cwd: folder, env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true' } });
  children.push(child);
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        const match = pattern.exec(line);
        if (match) resolve({ child, match });
      });
    }
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
  });
}

const customers = (rows: string[]) => ['id,email,first_name', ...rows].join('\n') + '\n';

async function createAdministrator(page: Page, path: string) {
  await page.goto(path);
  await page.getByLabel('Name').fill('Ada Example');
  await page.getByLabel('E-mail').fill('ada@example.org');
  await page.getByLabel('Password').first().fill('correct horse battery');
  await page.getByRole('button', { name: 'Create the administrator' }).click();
  await page.getByRole('heading', { name: 'From files to everywhere else' }).waitFor({ timeout: patience });
}

async function writeModel(page: Page, source: string, table: string) {
  await page.goto(`/models/new?source=${source}`);
  await page.getByLabel('Name').fill('customers');
  const editor = page.getByLabel('SQL of the model');
  await editor.click();
  await page.keyboard.insertText(`SELECT id, email, first_name FROM '${table}'`);
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('region', { name: 'Rows' }).waitFor({ timeout: patience });
  await page.getByLabel('Columns that identify a row').first().click();
  await page.getByRole('option', { name: 'id', exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Check uniqueness' }).click();
  await page.getByText(/^Unique: /).waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.getByRole('link', { name: 'Set up a sync' }).waitFor({ timeout: patience });
}

async function setUpSync(page: Page, destination: string, stream: string) {
  await page.goto(`/syncs/new?model=customers&destination=${destination}`);
  await page.getByLabel('Table').fill(stream);
  await page.keyboard.press('Escape');
  const preview = page.getByRole('complementary', { name: 'Preview' });
  await preview.getByText('3 real rows').waitFor({ timeout: patience });
  await page.getByLabel('Name').fill('customers_out');
  await page.getByRole('button', { name: 'Make the plan' }).click();
  await page.getByText(/^The first run will insert/).waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Save and run' }).click();
  await page.waitForURL(/\/runs\//, { timeout: patience });
}

test.skipIf(binary && endpoint)('from the first start to a retried row, on the mock server', async () => {
  mock = await openPages();
  const { context, page, troubles } = await openWindow(browser, mock.url, 'light', 1440);
  await world(page, 'fresh');
  await createAdministrator(page, '/setup?code=abc');

  await page.getByRole('link', { name: 'Add a source' }).click();
  await page.getByLabel('Bucket', { exact: true }).fill('s3://denied/exports/crm');
  await page.getByLabel('Role ARN').fill('arn:aws:iam::123456789012:role/lake-reader');
  const external = await page.locator('[data-external-id]').textContent();
  expect(external).toMatch(/^[0-9a-f-]{36}$/);
  await page.getByLabel('Trust policy', { exact: true }).getByText(String(external)).waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('S3-004').waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Copy the statement' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('s3:GetObject');
  await page.getByLabel('Bucket', { exact: true }).fill('acme-lake');
  await page.getByRole('button', { name: 'Test again' }).click();
  await page.getByText('The connection works.').waitFor({ timeout: patience });
  await page.getByLabel('Name', { exact: true }).fill('lake');
  await page.getByRole('button', { name: 'Save and look inside' }).click();
  await page.getByRole('button', { name: /customers parquet/ }).waitFor({ timeout: patience });

  await writeModel(page, 'lake', 's3://acme-lake/exports/crm/customers/*.parquet');
  await page.goto('/destinations/new');
  await page.getByRole('button', { name: /^PostgreSQL/ }).click();
  await page.getByLabel('Name', { exact: false }).first().fill('crm');
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('PostgreSQL 16.4').waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Save destination' }).click();
  await page.getByRole('link', { name: 'Set up a sync' }).waitFor({ timeout: patience });
  await setUpSync(page, 'crm', 'public.people');

  await page.getByText('98,990 unchanged').first().waitFor({ timeout: patience });
  await page.getByText(/100,000 read = 98,990 unchanged/).waitFor({ timeout: patience });
  await page.getByRole('heading', { name: 'Rejected rows' }).waitFor({ timeout: patience });
  await page.getByText('Values').first().click();
  await page.getByText('<img src=x onerror=alert(1)> New order').first().waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Retry these' }).click();
  await page.getByRole('heading', { name: /run 2$/ }).waitFor({ timeout: patience });
  expect(troubles).toEqual([]);
  await context.close();
});

test('the keyboard alone opens, searches and sorts', async () => {
  mock ??= await openPages();
  const { context, page, troubles } = await openWindow(browser, mock.url, 'dark', 1440);
  await world(page, 'busy');
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('g');
  await page.keyboard.press('y');
  await page.waitForURL(/\/syncs$/);
  await page.getByRole('table', { name: 'syncs' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('slack');
  await page.waitForURL(/q=slack/);
  expect(await page.getByRole('row').count()).toBe(2);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('weekly');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'weekly_export' }).waitFor();
  expect(troubles).toEqual([]);
  await context.close();
});

test('a viewer is offered nothing that would be refused', async () => {
  mock ??= await openPages();
  const { context, page } = await openWindow(browser, mock.url, 'light', 1440);
  await world(page, 'busy', 'viewer');
  for (const path of ['/sources', '/sources/lake', '/models/customers', '/destinations/crm', '/syncs/orders_to_slack', '/settings']) {
    await page.goto(path);
    await settled(page);
    const offered = await page.getByRole('button', { name: /^(Add|Run|Retry|Delete|Save|Test|Write|Edit|Pause|Preview)/ }).count();
    const linked = await page.getByRole('main').getByRole('link', { name: /^(Add|Set up|Write|Edit)/ }).count();
    expect([path, offered + linked]).toEqual([path, 0]);
  }
  await page.goto('/syncs/orders_to_slack');
  await page.getByText('Keys and values are shown to editors.').waitFor();
  expect(await page.getByText('A-1000').count()).toBe(0);
  await context.close();
});

test.runIf(binary && endpoint)('from the first start to an incremental run, on the real server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapline-journey-'));
  const files = join(folder, 'files');
  mkdirSync(join(files, 'crm'), { recursive: true });
  writeFileSync(join(files, 'crm', 'customers.csv'), customers(['1,ada@example.org,Ada', '2,grace@example.org,Grace', '3,linus@example.org,Linus']));
  const s3 = await begin(String(endpoint), ['acme-lake', files], folder, /^(http\S+) (\S+) (\S+)$/);
  const [, address = '', key = '', secret = ''] = s3.match;
  const server = await begin(String(binary), ['serve', '--listen', '127.0.0.1:0', '--allow-private-addresses'], folder, /(http:\/\/127\.0\.0\.1:\d+)\/setup\?code=(\S+)/);
  const [, url = '', code = ''] = server.match;
  const { context, page, troubles } = await openWindow(browser, url, 'light', 1440);

  await createAdministrator(page, `/setup?code=${code}`);
  await page.getByRole('link', { name: 'Add a source' }).click();
  await page.getByLabel('Bucket', { exact: true }).fill('acme-lake');
  await page.getByRole('button', { name: /S3-compatible/ }).click();
  await page.getByLabel('Endpoint', { exact: true }).fill(address);
  await page.getByLabel('Access key', { exact: true }).check();
  await page.getByLabel('Access key id').fill(key);
  await page.getByLabel('Secret access key').fill(secret);
  await page.getByLabel('Name', { exact: true }).fill('lake');
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('The connection works.').waitFor({ timeout: patience });
  await page.getByRole('button', { name: 'Save and look inside' }).click();
  await page.getByRole('region', { name: 'Rows' }).waitFor({ timeout: patience });

  await writeModel(page, 'lake', 's3://acme-lake/crm/customers.csv');
  await page.goto('/destinations/new');
  await page.getByRole('button', { name: /^SQLite/ }).click();
  await page.getByLabel('Name', { exact: false }).first().fill('local');
  await page.getByLabel('Path').fill(join(folder, 'out.db'));
  await page.getByRole('button', { name: 'Save destination' }).click();
  await page.getByRole('link', { name: 'Set up a sync' }).waitFor({ timeout: patience });
  await setUpSync(page, 'local', 'customers');
  await page.getByText('3 read = 3 inserted').waitFor({ timeout: patience });

  writeFileSync(join(folder, 'changed.csv'), customers(['1,ada@example.org,Ada', '2,grace@example.org,Grace H.', '3,linus@example.org,Linus', '4,edsger@example.org,Edsger']));
  s3.child.stdin?.write(`put crm/customers.csv ${join(folder, 'changed.csv')}\n`);
  await page.goto('/syncs/customers_out');
  await page.getByRole('button', { name: 'Run sync' }).click();
  await page.getByText('4 read = 2 unchanged + 1 inserted + 1 updated').waitFor({ timeout: patience });
  expect(troubles).toEqual([]);
  await context.close();
});
