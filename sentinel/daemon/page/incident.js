// One incident: a failover, or what came near to one.

import { h, show } from './dom.js';
import { masterLink } from './head.js';
import { timeline } from './timeline.js';
import { ago, capital, dayAndTime, span } from './words.js';

/** Draws it. */
export function incident(view, { incident: it, skew }, { master, id }) {
  const trail = h('p', { class: 'trail' }, h('a', { href: '#/' }, 'Overview'), ' / ', h('a', { href: masterLink(master) }, master), ' / incident');
  const page = (...children) => show(view, h('div', { class: 'page', 'data-key': `incident-${id}` }, trail, children));
  if (it?.master !== master || it.id !== id) {
    page(h('h1', null, 'Incident'), h('p', { class: 'nothing' }, 'Asking this Sentinel …'));
    return;
  }
  if (it.missing) {
    page(h('h1', null, 'Incident'), h('p', { class: 'nothing' }, 'This Sentinel has no such incident on record. Each Sentinel keeps its own; the last 200 are kept.'));
    return;
  }
  const began = Number(id);
  page(
    h('div', { class: 'title' },
      h('div', { class: 'name' }, h('h1', null, capital(it.outcome))),
      h('dl', { class: 'facts' },
        h('div', null, h('dt', null, 'Master'), h('dd', null, h('a', { href: masterLink(master) }, master))),
        h('div', null, h('dt', null, 'Began'), h('dd', null, `${dayAndTime(began)} (${ago(began, skew)})`)),
        h('div', null, h('dt', null, 'Took'), h('dd', null, it.lasted_ms < 10_000 ? `${it.lasted_ms.toLocaleString('en')} ms` : span(it.lasted_ms))))),
    h('section', { class: 'card', 'aria-labelledby': 'steps', 'data-key': 'steps' },
      h('h2', { id: 'steps' }, 'Step by step'), h('p', { class: 'hint' }, 'As this Sentinel saw it: who led the failover saw more of it.'), timeline(it.lines, it.omitted)));
}
