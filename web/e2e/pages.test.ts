// Every page of a server in the middle of its work, and of a new one, light and dark, wide and narrow: no serious finding
// of axe, nothing wider than the window, no error in the console. Leaves a screenshot of each in e2e/results.

import { mkdirSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findings, openBrowser, openWindow, settled, type Scheme } from './browser';
import { longName, makeBusy, startService } from './busy';
import { World, type Server } from './world';

const results = new URL('./results/', import.meta.url).pathname;
const person = { email: 'ada@example.org', name: 'Ada Example', password: 'correct horse battery' };

const busyPages: Record<string, string> = {
  home: '/',
  sources: '/sources',
  'source-new': '/sources/new',
  source: '/sources/lake',
  'source-draft': '/sources/archive',
  'source-edit': '/sources/archive/edit',
  models: '/models',
  model: '/models/customers',
  'model-new': '/models/new?source=lake',
  destinations: '/destinations',
  'destination-new': '/destinations/new',
  destination: '/destinations/crm',
  'destination-failed': '/destinations/warehouse',
  syncs: '/syncs',
  sync: '/syncs/customers_to_crm',
  'sync-partial': '/syncs/orders_to_service',
  'sync-stopped': '/syncs/invoices_to_crm',
  'sync-long': `/syncs/${longName}`,
  'sync-edit': '/syncs/customers_to_crm/edit',
  'sync-new': '/syncs/new',
  'sync-missing': '/syncs/nothing',
  users: '/settings/users',
  tokens: '/settings/tokens',
  alerts: '/settings/alerts',
  audit: '/settings/audit',
  about: '/settings/about',
  account: '/settings/account',
};
const newPages = { 'home-empty': '/', 'sources-empty': '/sources', 'models-empty': '/models', 'destinations-empty': '/destinations', 'syncs-empty': '/syncs', 'tokens-empty': '/settings/tokens', 'alerts-empty': '/settings/alerts' };

let browser: Browser;
let service: HttpServer;
let busy: Server;
let fresh: Server;
const worlds = [new World(), new World()] as const;
let run = '';

beforeAll(async () => {
  mkdirSync(results, { recursive: true });
  browser = await openBrowser();
  busy = await worlds[0].server();
  fresh = await worlds[1].server();
  const started = await startService();
  service = started.service;
  await busy.ask('POST', '/setup', { code: busy.code, ...person });
  await makeBusy(worlds[0], busy, started.port);
  const runs = await busy.ask<{ items: { id: string }[] }>('GET', '/runs?sync=orders_to_service');
  run = `/runs/${runs.items[0]?.id}`;
});

afterAll(async () => {
  await browser?.close();
  service?.close();
  await Promise.all(worlds.map((world) => world.close()));
});

const only = process.env.PAGES?.split(',');

async function signIn(page: Page) {
  await page.request.post('/api/v1/session', { data: { email: person.email, password: person.password } });
}

describe.each<[Scheme, number]>([
  ['light', 1440],
  ['dark', 1440],
  ['light', 390],
  ['dark', 390],
])('%s at %i px', (scheme, width) => {
  async function look(server: Server, pages: Record<string, string>, before?: (page: Page) => Promise<void>) {
    const { context, page, troubles } = await openWindow(browser, server.pages, scheme, width);
    await before?.(page);
    const found: string[] = [];
    for (const [name, path] of Object.entries(pages)) {
      if (only && !only.includes(name)) continue;
      await page.goto(path);
      await settled(page);
      found.push(...(await findings(page)).map((finding) => `${name}: ${finding}`));
      await page.screenshot({ path: `${results}${name}-${scheme}-${width}.png`, fullPage: true });
    }
    await context.close();
    expect([...found, ...troubles]).toEqual([]);
  }

  test('the pages before anybody has signed in', () => look(busy, { signin: '/signin' }));
  test('every page of a busy server', () => look(busy, { ...busyPages, run }, signIn));
  test('every page of a new server', async () => {
    const { needed } = await fresh.ask<{ needed: boolean }>('GET', '/setup');
    if (needed) {
      await look(fresh, { setup: `/setup?code=${fresh.code}` });
      await fresh.ask('POST', '/setup', { code: fresh.code, ...person });
    }
    await look(fresh, newPages, signIn);
  });
});
