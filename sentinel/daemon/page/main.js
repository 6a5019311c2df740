// Draws what the address names, whenever the state or the address is another one.

import { events } from './events.js';
import { head, tokenForm } from './head.js';
import { incident } from './incident.js';
import { master } from './master.js';
import { overview } from './overview.js';
import { process } from './process.js';
import { store } from './store.js';
import { show } from './dom.js';
import { sync } from './sync.js';

const VIEWS = { overview, master, incident, events, sentinel: process };
const view = document.getElementById('view');

/** What the part behind `#` names. */
export function routeOf(hash) {
  let parts;
  try {
    parts = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [first, name, kind, id] = parts;
  if (first === 'masters' && name) return kind === 'history' && id ? { page: 'incident', master: name, id } : { page: 'master', master: name };
  if (first === 'events' || first === 'sentinel') return { page: first };
  return { page: 'overview' };
}

let route = routeOf(location.hash);
let live = null;

function draw() {
  const began = performance.now();
  const state = states.get();
  head(state, route);
  if (state.link.state === 'refused') {
    show(view, tokenForm(state, live.retry));
    if (!view.contains(document.activeElement)) document.getElementById('token').focus();
  } else {
    VIEWS[route.page](view, state, route, draw);
  }
  if (state.loadedAt) performance.measure('draw', { start: began, end: performance.now() });
}

const states = store(draw);
live = sync(states);
live.goTo(route);

addEventListener('hashchange', () => {
  const next = routeOf(location.hash);
  const isOther = JSON.stringify(next) !== JSON.stringify(route);
  route = next;
  live.goTo(route);
  draw();
  if (isOther) {
    scrollTo(0, 0);
    view.focus({ preventScroll: true });
  }
});
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  view.focus();
});
new ResizeObserver(() => route.page === 'master' && requestAnimationFrame(draw)).observe(view);
// Times go on although nothing happens.
setInterval(() => document.hidden || draw(), 1_000);
