// Every page, light and dark, wide and narrow: no serious finding of axe, nothing wider than the window, no error in the
// console. Leaves a screenshot of each in e2e/results.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PreviewServer } from 'vite';
import { openBrowser, openPages, openWindow, settled, world, type Scheme } from './browser';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const results = new URL('./results/', import.meta.url).pathname;

const pages: [name: string, path: string, world: Parameters<typeof world>[1]][] = [
  ['setup', '/setup?code=abc', 'fresh'],
  ['signin', '/signin', 'out'],
  ['home', '/', 'busy'],
  ['home-empty', '/', 'empty'],
  ['sources', '/sources', 'busy'],
  ['sources-empty', '/sources', 'empty'],
  ['source-new', '/sources/new', 'busy'],
  ['source', '/sources/lake', 'busy'],
  ['source-edit', '/sources/archive/edit', 'busy'],
  ['models', '/models', 'busy'],
  ['model', '/models/customers', 'busy'],
  ['model-new', '/models/new?source=lake', 'busy'],
  ['destinations', '/destinations', 'busy'],
  ['destination-new', '/destinations/new', 'busy'],
  ['destination', '/destinations/crm', 'busy'],
  ['syncs', '/syncs', 'busy'],
  ['syncs-many', '/syncs', 'many'],
  ['sync', '/syncs/orders_to_slack', 'busy'],
  ['sync-stopped', '/syncs/invoices_to_warehouse', 'busy'],
  ['sync-edit', '/syncs/customers_to_crm/edit', 'busy'],
  ['sync-new', '/syncs/new', 'busy'],
  ['sync-missing', '/syncs/nothing', 'busy'],
  ['users', '/settings/users', 'busy'],
  ['tokens', '/settings/tokens', 'busy'],
  ['alerts', '/settings/alerts', 'busy'],
  ['audit', '/settings/audit', 'busy'],
  ['about', '/settings/about', 'busy'],
  ['account', '/settings/account', 'busy'],
];

let browser: Browser;
let server: PreviewServer;
let url: string;

beforeAll(async () => {
  mkdirSync(results, { recursive: true });
  browser = await openBrowser();
  ({ server, url } = await openPages());
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const only = process.env.PAGES?.split(',');

describe.each<[Scheme, number]>([
  ['light', 1440],
  ['dark', 1440],
  ['light', 390],
  ['dark', 390],
])('%s at %i px', (scheme, width) => {
  test('every page', async () => {
    const { context, page, troubles } = await openWindow(browser, url, scheme, width);
    const findings: string[] = [];
    for (const [name, path, which] of pages) {
      if (only && !only.includes(name)) continue;
      await world(page, which);
      await page.goto(path);
      await settled(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) findings.push(`${name}: ${wide} px wider than the window`);
      await page.evaluate(axe);
      const report = await page.evaluate(() => (window as unknown as { axe: typeof import('axe-core') }).axe.run());
      for (const violation of report.violations) {
        if (violation.impact !== 'serious' && violation.impact !== 'critical') continue;
        findings.push(`${name}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} (${node.any[0]?.message ?? node.failureSummary})`).join('; ')}`);
      }
      await page.screenshot({ path: `${results}${name}-${scheme}-${width}.png`, fullPage: true });
    }
    await context.close();
    expect(findings).toEqual([]);
    expect(troubles).toEqual([]);
  });
});
