// The Sentinel that has served this page.

import { h, show } from './dom.js';
import { problems } from './master.js';
import { settings } from './tables.js';
import { span } from './words.js';

/** Draws it. */
export function process(view, state) {
  const { status, config, link, loadedAt, events } = state;
  if (!status) {
    show(view, h('div', { class: 'page', 'data-key': 'process' }, h('h1', null, 'This Sentinel'), h('p', { class: 'nothing' }, 'Asking this Sentinel …')));
    return;
  }
  const fact = (name, value) => h('div', null, h('dt', null, name), h('dd', null, value));
  const own = state.problems.get('') ?? [];
  show(view, h('div', { class: 'page', 'data-key': 'process' },
    h('h1', null, 'This Sentinel'),
    h('section', { class: 'card', 'aria-label': 'Facts', 'data-key': 'facts' },
      h('dl', { class: 'facts wide' },
        fact('Id', h('code', null, status.id)),
        fact('This run', h('code', null, status.run_id ?? '–')),
        fact('Version', status.version),
        fact('Address of this page', h('code', null, location.host)),
        fact('Epoch', String(status.current_epoch)),
        fact('Masters', `${status.masters_well.toLocaleString('en')} of ${status.masters.toLocaleString('en')} well`),
        fact('TILT', status.tilt_ms === null ? 'no' : `for ${span(status.tilt_ms)}`),
        fact('State on disk', status.save_error === null ? 'saved' : `not saved: ${status.save_error}`),
        fact('Problems', `${status.problems.critical} critical, ${status.problems.warning} warnings, ${status.problems.info} to know of`),
        fact('Connection of this page', { live: `live for ${span(Date.now() - link.since)}`, lost: `lost for ${span(Date.now() - link.since)}` }[link.state] ?? link.state),
        fact('All was loaded', `${span(Date.now() - loadedAt)} ago`),
        fact('Events kept here', events.length.toLocaleString('en')))),
    problems(own, 'Nothing is wrong with this Sentinel and its peers.'),
    settings('Settings', config)));
}
