// Pictures of each state of the page, light, dark and as wide as a phone: node shots.js FOLDER

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { browser } from './browser.js';
import { fake } from './fake.js';
import { command, deployment, eventually, settled } from './servers.js';

const folder = process.argv[2];
const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
};
mkdirSync(folder, { recursive: true });
const chromium = await browser();

/** One picture in each look. */
async function shoot(name, url, ready, fullPage = true) {
  for (const [look, options] of Object.entries(LOOKS)) {
    const page = await chromium.newPage(options);
    await page.goto(url);
    await page.locator(ready).first().waitFor();
    await page.waitForTimeout(600);
    await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage });
    await page.close();
  }
  console.log(name);
}

for (const [name, options, at] of [['3-masters', { masters: 3 }, 0], ['1000-masters', { masters: 1_000 }, 17]]) {
  const sentinel = fake(options);
  const url = await sentinel.start();
  await shoot(`${name}-overview`, `${url}/`, '.rows .row', false);
  await shoot(`${name}-master`, `${url}/#/masters/${sentinel.nameOf(at)}`, '.picture');
  sentinel.stop();
}

const big = fake({ masters: 1, calm: true });
big.change(big.nameOf(0), { replicas: 9, ok_replicas: 7, sentinels: 7, ok_sentinels: 5, quorum: 4 });
await shoot('many-nodes', `${await big.start()}/#/masters/${big.nameOf(0)}`, '.picture');
big.stop();

const servers = await deployment();
try {
  await settled(servers);
  const [{ url, port }] = servers.sentinels;
  await shoot('well-overview', `${url}/`, '.rows .row', false);
  await shoot('well-master', `${url}/#/masters/shop`, '.picture');
  await command(port, 'SENTINEL', 'PAUSE', 'shop', '600', 'moving racks');
  await eventually('it is paused', async () => (await (await fetch(`${url}/v1/masters/shop`)).json()).problems.length);
  await shoot('paused-master', `${url}/#/masters/shop`, '.banner', false);
  await command(port, 'SENTINEL', 'RESUME', 'shop');
  await servers.master.kill();
  const [{ id }] = await eventually('the incident is over', async () => {
    const all = await (await fetch(`${url}/v1/masters/shop/history`)).json();
    return all.length && all;
  });
  await shoot('after-failover-master', `${url}/#/masters/shop`, '.now');
  await shoot('incident', `${url}/#/masters/shop/history/${id}`, '.timeline');
  await shoot('events', `${url}/#/events`, '.events', false);
  await shoot('sentinel', `${url}/#/sentinel`, 'summary', false);
} finally {
  await servers.stop();
}

const closed = await deployment({ replicas: 0, sentinels: 1, quorum: 1, lines: ['http-token secret'] });
await shoot('token', `${closed.sentinels[0].url}/`, '.token', false);
await closed.stop();
await chromium.close();
