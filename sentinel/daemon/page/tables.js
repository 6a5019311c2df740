// Tables: what the picture shows, for keyboard, screen reader and those who want the numbers.

import { h, icon } from './dom.js';
import { opinions, standing } from './opinions.js';
import { bytes, short, span } from './words.js';

/** A table with a heading; each row is a list of cells. On a phone each cell carries the name of its column. */
export function table(title, columns, rows, empty) {
  const id = `table-${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
  return h('section', { class: 'card', 'aria-labelledby': id, 'data-key': id },
    h('h2', { id }, title),
    rows.length
      ? h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-labelledby': id },
        h('table', null,
          h('thead', null, h('tr', null, columns.map((name) => h('th', { scope: 'col' }, name)))),
          h('tbody', null, rows.map((cells) => h('tr', null, cells.map((cell, at) => (at
            ? h('td', { 'data-label': columns[at] }, cell)
            : h('th', { scope: 'row', 'data-label': columns[at] }, cell))))))))
      : h('p', { class: 'nothing' }, empty));
}

const state = (sign, word) => h('span', { class: 'state', 'data-tone': sign }, icon(sign === 'differs' ? 'warning' : sign), word);
const code = (text) => h('code', null, text);

/** The replicas. */
export function replicas({ replicas: list, master, candidates }) {
  const columns = ['Replica', 'State', 'Replication', 'Behind', 'Offset', 'Priority', 'If the master died'];
  const rows = list.map((replica) => {
    const { sign, word, link, place, refused } = standing(replica, master, candidates);
    return [
      code(replica.address), state(sign, word), link,
      bytes(replica.lag_bytes), replica.offset.toLocaleString('en'), String(replica.priority),
      refused ? `${place}: ${refused}` : place || '–',
    ];
  });
  return table('Replicas', columns, rows, 'This master has no replica that is known: nothing could take its place.');
}

/** The Sentinels and what they think. */
export function sentinels(detail) {
  const columns = ['Sentinel', 'Address', 'It holds the master for', 'Names as master', 'Epoch', 'Last hello', 'Voted for'];
  const rows = opinions(detail).map(({ id, address, name, isOurs, sign, word, text, opinion, sentinel }) => [
    isOurs ? h('span', null, name, id ? [' ', code(short(id))] : '') : h('code', { title: id }, short(id)),
    code(address || '–'),
    h('span', null, state(sign, word), text ? h('small', null, ` ${text}`) : ''),
    code(opinion?.master ?? '–'),
    opinion?.config_epoch === null || opinion === undefined ? '–' : `${opinion.config_epoch} (has seen ${opinion.current_epoch ?? '–'})`,
    isOurs ? '–' : span(opinion?.last_hello_ms ?? sentinel?.last_hello_ms),
    opinion?.voted_for ? h('span', null, code(short(opinion.voted_for)), ` in ${opinion.voted_epoch}`) : '–',
  ]);
  return table('Sentinels', columns, rows, '');
}

/** Settings by their keys. */
export function settings(title, values) {
  const shown = (value) => (value === null ? h('span', { class: 'faint' }, 'not set') : code(String(value)));
  return h('details', { class: 'card', 'data-key': `settings-${title}` },
    h('summary', null, h('h2', null, title)),
    values
      ? h('dl', { class: 'settings' }, Object.entries(values).map(([key, value]) => h('div', null, h('dt', null, code(key)), h('dd', null, shown(value)))))
      : h('p', { class: 'nothing' }, 'Not known.'));
}
