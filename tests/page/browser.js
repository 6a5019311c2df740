// A real Chromium without a window.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const PROGRAMS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FOLDER = new URL('../../sentinel/daemon/page/', import.meta.url);

export async function browser() {
  const executablePath = PROGRAMS.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium: install Debian’s `chromium`, or name one in CHROMIUM');
  const launched = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  if (process.env.PAGE_FROM_SOURCE) {
    // The files as they are in the tree, so that a change is seen without a build.
    const newPage = launched.newPage.bind(launched);
    launched.newPage = async (options) => {
      const page = await newPage(options);
      await page.route('**/page/*', (route) => route.fulfill({ path: fileURLToPath(new URL(route.request().url().split('/').pop(), FOLDER)) }));
      return page;
    };
  }
  return launched;
}

/** What a page complains of: errors, and what its policy forbids. */
export function complaints(page) {
  const all = [];
  page.on('pageerror', (error) => all.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    // A connection that is refused, and a token that is wrong, are told by the browser itself.
    if (message.type() === 'error' && !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_NETWORK|401|404|Failed to fetch/.test(text)) all.push(text);
  });
  return all;
}
