// What people see of real servers, in a real browser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { browser, complaints } from './browser.js';
import { SOON, command, deployment, eventually, settled } from './servers.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let chromium;

before(async () => {
  chromium = await browser();
});
after(() => chromium?.close());

/** A story: servers, and a page that must not complain. */
function story(name, options, tell) {
  test(name, async () => {
    const servers = await deployment(options);
    const page = await chromium.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(SOON);
    const bad = complaints(page);
    try {
      await tell(page, servers);
      assert.deepEqual(bad, []);
    } finally {
      await page.close();
      await servers.stop();
    }
  });
}

const said = (page) => page.locator('#sentence').textContent();
const says = (page, pattern) => eventually(`the sentence is ${pattern}`, async () => {
  const text = await said(page);
  if (pattern.test(text)) return true;
  throw new Error(text);
});

/** What axe finds wrong for those who read with other means. */
async function accessible(page) {
  // The policy forbids scripts that are no file, so it is put in by the debugger.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: AXE });
  const { result } = await session.send('Runtime.evaluate', {
    expression: 'axe.run(document, { resultTypes: ["violations"] }).then((it) => JSON.stringify(it.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])))',
    awaitPromise: true,
    returnByValue: true,
  });
  assert.deepEqual(JSON.parse(result.value), [], page.url());
}

story('a failover is seen as it happens, step by step, and has a link that lasts', {}, async (page, servers) => {
  const { master, sentinels } = servers;
  await settled(servers);
  await page.goto(`${sentinels[0].url}/`);
  await says(page, /^shop is well$/);
  assert.equal(await page.locator('.rows .row').count(), 1);
  assert.match(await page.locator('.rows .row').textContent(), new RegExp(master.address));
  await accessible(page);

  // With the keyboard alone to the master
  await page.locator('.rows .row a').first().focus();
  await page.keyboard.press('Enter');
  await page.locator('.picture').waitFor();
  assert.equal(await page.locator('.picture .spoke.tone-ok').count(), 3);
  assert.equal(await page.locator('.picture .thread-up').count(), 2);
  await accessible(page);

  // When the master dies, then the steps are told, and the new address
  await master.kill();
  await page.getByRole('heading', { name: /Happening now|Just happened/ }).waitFor();
  const steps = page.locator('.now .timeline li');
  await steps.filter({ hasText: `The master ${master.address} is subjectively down: connection refused` }).waitFor();
  await steps.filter({ hasText: 'The master is objectively down: the quorum agrees' }).waitFor();
  await steps.filter({ hasText: 'Clients are given the new master' }).waitFor();
  await eventually('the address is another one', async () => {
    const address = await page.locator('.facts .address').textContent();
    return address !== master.address && servers.replicas.some((replica) => replica.address === address);
  });
  await says(page, /^shop is well · the replica is down/);
  await page.getByText('SENTINEL FORGET-REPLICA').waitFor();
  await page.locator('.picture .thread-lost').waitFor({ state: 'attached' });
  await accessible(page);

  // And it can be looked at later, by its address alone
  await page.locator('.history a').first().click();
  await page.locator('.timeline').waitFor();
  const link = page.url();
  assert.match(link, /#\/masters\/shop\/history\/\d+$/);
  await page.goto('about:blank');
  await page.goto(link);
  await page.getByRole('heading', { name: /took the place of/ }).waitFor();
  assert.match(await page.locator('.timeline .at').first().textContent(), /^\+0 ms$/);
  await accessible(page);

  // And among the events
  await page.getByRole('link', { name: 'Events' }).click();
  await page.locator('.events .channel', { hasText: '+switch-master' }).waitFor();
  await accessible(page);
});

story('a master whose failovers are paused has a banner with the reason', {}, async (page, servers) => {
  await settled(servers);
  const [sentinel] = servers.sentinels;
  await page.goto(`${sentinel.url}/`);
  await says(page, /^shop is well$/);
  await command(sentinel.port, 'SENTINEL', 'PAUSE', 'shop', '600', 'moving racks');
  await page.locator('.banner', { hasText: 'Failovers are paused' }).filter({ hasText: 'moving racks' }).waitFor();
  await page.locator('.rows .row', { hasText: 'Paused' }).waitFor();
  await accessible(page);
  await command(sentinel.port, 'SENTINEL', 'RESUME', 'shop');
  await page.locator('.banner').waitFor({ state: 'detached' });
  await says(page, /^shop is well$/);
});

story('a quorum that is lost is said at once', { quorum: 3 }, async (page, servers) => {
  await settled(servers);
  const [first, second] = servers.sentinels;
  await page.goto(`${first.url}/#/masters/shop`);
  await page.locator('.picture').waitFor();
  await second.kill();
  await says(page, /^shop: no failover possible, 2 of 3 Sentinels, quorum 3/);
  assert.equal(await page.locator('#truth').getAttribute('data-level'), 'critical');
  await page.locator('.picture .spoke.tone-unknown').waitFor({ state: 'attached' });
  await page.locator('table', { hasText: 'unreachable' }).waitFor();
  await accessible(page);
});

story('who has no token, or a wrong one, is asked for it', { lines: ['http-token right-one'] }, async (page, servers) => {
  const [sentinel] = servers.sentinels;
  await settled(servers, { Authorization: 'Bearer right-one' });
  await page.goto(`${sentinel.url}/`);
  const field = page.getByLabel('Token');
  await field.waitFor();
  assert.ok(!(await page.content()).includes('shop'), 'nothing is told');
  await accessible(page);
  await field.fill('wrong-one');
  await page.keyboard.press('Enter');
  await page.getByText('This token is wrong').waitFor();
  await field.fill('right-one');
  await page.keyboard.press('Enter');
  await says(page, /^shop is well$/);
  assert.ok(!page.url().includes('right-one'), 'it is in no address');
  // It lasts for the tab, and for nobody else
  await page.reload();
  await says(page, /^shop is well$/);
  const other = await chromium.newPage();
  await other.goto(`${sentinel.url}/`);
  await other.getByLabel('Token').waitFor();
  await other.close();
});

story('a Sentinel that stops is missed, and what happened meanwhile is there when it is back', {}, async (page, servers) => {
  await settled(servers);
  const [sentinel] = servers.sentinels;
  await page.goto(`${sentinel.url}/`);
  await says(page, /^shop is well$/);
  await sentinel.kill('SIGTERM');
  await page.locator('.banner', { hasText: 'No connection to this Sentinel' }).waitFor();
  await says(page, /^Not known now\. The last news: shop is well/);
  await accessible(page);
  await servers.master.kill();
  await eventually('the others have switched', async () => {
    const answer = await fetch(`${servers.sentinels[1].url}/v1/masters/shop`);
    return (await answer.json()).master.address !== servers.master.address;
  });
  await sentinel.start();
  await page.locator('.banner', { hasText: 'No connection' }).waitFor({ state: 'detached' });
  await eventually('the new address', async () => !(await page.locator('.rows .row').textContent()).includes(servers.master.address));
  await page.locator('#link[data-link="live"]').waitFor();
});

story('what operators name is shown as they wrote it, and is never run', { name: '<img/src=x/onerror=alert(1)>' }, async (page, servers) => {
  await settled({ ...servers, name: encodeURIComponent(servers.name) });
  await page.goto(`${servers.sentinels[0].url}/`);
  await page.getByRole('link', { name: servers.name }).click();
  await page.getByRole('heading', { name: servers.name, exact: true }).waitFor();
  await page.locator('.picture').waitFor();
  assert.equal(await page.locator('img[src="x"]').count(), 0);
});
