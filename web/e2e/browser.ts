// The browser that the tests drive, and its windows.
// Not here: what it looks at (world.ts).
// Called by the tests.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export type Scheme = 'light' | 'dark';

export const patience = 120_000;

/** Debian's Chromium, or another one named by TAPLINE_CHROMIUM. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.TAPLINE_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

export interface Opened {
  context: BrowserContext;
  page: Page;
  /** What the console says is wrong. */
  troubles: string[];
}

export async function openWindow(browser: Browser, url: string, scheme: Scheme = 'light', width = 1440): Promise<Opened> {
  const context = await browser.newContext({
    baseURL: url,
    colorScheme: scheme,
    viewport: { width, height: width < 600 ? 844 : 900 },
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  // A busy machine is slow; nothing here measures time.
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const troubles: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) troubles.push(message.text());
  });
  page.on('pageerror', (error) => troubles.push(String(error)));
  return { context, page, troubles };
}

/** Waits until the page shows what it asked for. */
export async function settled(page: Page): Promise<void> {
  await page.waitForLoadState('networkidle');
  await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What is wrong with a page: what axe takes seriously, and anything wider than the window. */
export async function findings(page: Page): Promise<string[]> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.evaluate(axe);
  const report = await page.evaluate(() => (window as unknown as { axe: typeof import('axe-core') }).axe.run());
  const serious = report.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return [
    ...(wide > 0 ? [`${wide} px wider than the window`] : []),
    ...serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target.join(' ')} (${node.any[0]?.message ?? node.failureSummary})`).join('; ')}`),
  ];
}
