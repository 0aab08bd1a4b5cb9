// The browser that the tests drive, and the built pages with the mock server behind them.

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { preview, type PreviewServer } from 'vite';

export type Scheme = 'light' | 'dark';

export const patience = 120_000;

/** Debian's Chromium, or another one named by TAPLINE_CHROMIUM. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.TAPLINE_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

export async function openPages(): Promise<{ server: PreviewServer; url: string }> {
  const server = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'warn' });
  const address = server.httpServer.address();
  if (!address || typeof address === 'string') throw new Error('the preview server has no port');
  return { server, url: `http://127.0.0.1:${address.port}` };
}

export async function openWindow(browser: Browser, url: string, scheme: Scheme, width: number): Promise<{ context: BrowserContext; page: Page; troubles: string[] }> {
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

/** Starts the mock server's world anew. */
export async function world(page: Page, name: 'busy' | 'empty' | 'many' | 'fresh' | 'out', role = 'admin'): Promise<void> {
  await page.request.post(`/mock/world?name=${name}&role=${role}`);
}

/** Waits until nothing is on its way any more. */
export async function settled(page: Page): Promise<void> {
  await page.waitForLoadState('networkidle');
  await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
}
