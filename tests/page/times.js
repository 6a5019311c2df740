// How long the page takes with thousands of masters: node times.js [MASTERS]

import { browser } from './browser.js';
import { fake } from './fake.js';

const count = Number(process.argv[2] ?? 5_000);
const sentinel = fake({ masters: count });
const url = await sentinel.start();
const chromium = await browser();
const page = await chromium.newPage({ viewport: { width: 1280, height: 900 } });
const ms = (number) => `${number.toFixed(1)} ms`;
const quantile = (list, part) => list.toSorted((one, other) => one - other)[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0;
const show = (name, list) => console.log(`${name}: median ${ms(quantile(list, 0.5))}, 95 of 100 within ${ms(quantile(list, 0.95))}, worst ${ms(Math.max(...list))} (${list.length})`);

// First paint, and all masters listed, of five visits
const paints = [];
const listed = [];
for (let visit = 0; visit < 5; visit += 1) {
  await page.goto('about:blank');
  await page.goto(`${url}/`);
  await page.locator('.rows .row').first().waitFor();
  const times = await page.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(() => resolve({
      paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      drawn: Math.min(...performance.getEntriesByName('draw').map((entry) => entry.startTime + entry.duration)),
    })));
  }));
  paints.push(times.paint);
  listed.push(times.drawn);
}
show('first paint', paints);
show(`${count} masters listed`, listed);

/** What the frames of something took. */
async function drawn(name, act) {
  await page.evaluate(() => performance.clearMeasures('draw'));
  await act();
  const list = await page.evaluate(() => performance.getEntriesByName('draw').map(({ duration }) => duration));
  show(name, list);
}

// A master is another one, fifty times
await drawn('one master changes', async () => {
  for (let at = 0; at < 50; at += 1) {
    const name = sentinel.nameOf(100 + at);
    sentinel.down(name);
    sentinel.tell('+odown', name);
    await page.waitForTimeout(120);
  }
  await page.waitForTimeout(500);
});

// Twenty within a tick
await drawn('twenty masters change at once', async () => {
  for (let round = 0; round < 10; round += 1) {
    for (let at = 0; at < 20; at += 1) {
      const name = sentinel.nameOf(300 + round * 20 + at);
      sentinel.lag(name);
      sentinel.tell('+sdown', name);
    }
    await page.waitForTimeout(500);
  }
});

// Half of all: all is asked for anew
await drawn('half of all masters change at once', async () => {
  for (let at = 0; at < count / 2; at += 1) {
    const name = sentinel.nameOf(at);
    sentinel.down(name);
    sentinel.tell('+odown', name);
  }
  await page.waitForTimeout(6_000);
});

// Scrolling through all of it: frames, not only our part of them
const frames = await page.evaluate(() => new Promise((resolve) => {
  const list = [];
  let before = performance.now();
  let at = 0;
  const step = (now) => {
    list.push(now - before);
    before = now;
    at += 1;
    scrollTo(0, at * 900);
    if (at < 200) requestAnimationFrame(step);
    else resolve(list.slice(2));
  };
  requestAnimationFrame(step);
}));
show('frames while scrolling by a screen each', frames);
await chromium.close();
sentinel.stop();
