// All masters, those in trouble first.

import { h, icon, setText, show } from './dom.js';
import { incidentLink, masterLink } from './head.js';
import { ago, plural, verdict } from './words.js';
import { windowed } from './window.js';

const FILTERS = [
  ['all', 'All', () => true],
  ['trouble', 'In trouble', ({ verdict: { rank } }) => rank < 5],
  ['down', 'Down', ({ master }) => master.status !== 'ok'],
  ['moving', 'Failing over', ({ master }) => master.failover !== null],
  ['paused', 'Paused', ({ master }) => master.paused],
];

const byName = (one, other) => (one.master.name < other.master.name ? -1 : 1);
const ORDERS = {
  trouble: ['Trouble first', (one, other) => one.verdict.rank - other.verdict.rank || byName(one, other)],
  name: ['Name', byName],
  failover: ['Last failover', (one, other) => (other.master.last_failover ?? 0) - (one.master.last_failover ?? 0) || byName(one, other)],
  address: ['Address', (one, other) => (one.master.address < other.master.address ? -1 : 1)],
};

const COLUMNS = ['State', 'Master', 'Address', 'What is wrong', 'Replicas', 'Sentinels', 'Last failover'];

let built = null;
const choice = { filter: 'all', order: 'trouble', text: '' };

/** Draws it. */
export function overview(view, state) {
  if (built?.view !== view || !built.root.isConnected) build(view);
  built.update(state);
}

function build(view) {
  let last = null;
  const again = () => last && update(last);
  const search = h('input', { id: 'filter', type: 'search', placeholder: 'Name or address', autocomplete: 'off', spellcheck: 'false' });
  search.value = choice.text;
  search.oninput = () => {
    choice.text = search.value;
    again();
  };
  const order = h('select', { id: 'order' }, Object.entries(ORDERS).map(([key, [label]]) => h('option', { value: key, selected: key === choice.order }, label)));
  order.onchange = () => {
    choice.order = order.value;
    again();
  };
  const chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Which masters' });
  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const table = h('div', { class: 'list', role: 'table', 'aria-label': 'Masters' },
    h('div', { role: 'rowgroup' }, h('div', { role: 'row', class: 'row columns', 'aria-rowindex': 1 }, COLUMNS.map((name, at) => h('span', { role: 'columnheader', class: `c${at}` }, name)))),
    body);
  const nothing = h('p', { class: 'nothing', role: 'status' });
  const root = h('div', { class: 'overview' },
    h('h1', { class: 'unseen' }, 'Overview'),
    h('div', { class: 'tools' },
      chips,
      h('div', { class: 'tool' }, h('label', { for: 'filter', class: 'unseen' }, 'Filter'), search),
      h('div', { class: 'tool' }, h('label', { for: 'order' }, 'Sort'), order)),
    table, nothing);
  view.replaceChildren(root);
  const list = windowed(body, { make, fill: (row, item) => fill(row, item, last.skew), key: ({ master }) => master.name });

  let sorted = [];

  /** All masters in their order. The last order is the first guess: a list that is nearly sorted is sorted in no time. */
  function ordered({ masters, problems }) {
    const items = [];
    const judge = (master) => items.push({ master, verdict: verdict(master, problems.get(master.name)) });
    const rest = new Map(masters);
    for (const { master: { name } } of sorted) {
      const master = rest.get(name);
      if (master && rest.delete(name)) judge(master);
    }
    for (const master of rest.values()) judge(master);
    sorted = items.sort(ORDERS[choice.order][1]);
    return sorted;
  }

  function update(state) {
    const chosen = JSON.stringify(choice);
    const isSame = last && last.masters === state.masters && last.problems === state.problems && last.chosen === chosen;
    last = { ...state, chosen };
    if (isSame) return;
    const items = ordered(state);
    const pick = (key) => {
      choice.filter = key;
      again();
    };
    show(chips, FILTERS.map(([key, label, test]) => {
      const count = key === 'all' ? items.length : items.filter(test).length;
      return h('button', { type: 'button', class: 'chip', 'data-filter': key, 'aria-pressed': String(choice.filter === key), 'data-none': count ? null : '', onclick: () => pick(key) }, label, h('b', null, count.toLocaleString('en')));
    }));
    const text = choice.text.trim().toLowerCase();
    const [, , test] = FILTERS.find(([key]) => key === choice.filter);
    const wanted = items.filter((item) => test(item) && (!text || item.master.name.toLowerCase().includes(text) || item.master.address.includes(text)));
    table.setAttribute('aria-rowcount', wanted.length + 1);
    table.hidden = !wanted.length;
    setText(nothing, wanted.length || !state.status ? '' : items.length ? 'No master is like this.' : 'No master is watched yet: SENTINEL MONITOR name host port quorum adds one.');
    list.set(wanted);
  }
  built = { view, root, update };
}

const cell = (at, ...children) => h('span', { role: 'cell', class: `c${at}` }, ...children);

function make({ master }) {
  return h('div', { role: 'row', class: 'row' },
    cell(0), cell(1, h('a', { href: masterLink(master.name), class: 'cover' }, master.name)), cell(2), cell(3), cell(4), cell(5), cell(6));
}

function fill(row, { master, verdict: { sign, tone, word, text } }, skew) {
  const [state, , address, wrong, replicas, sentinels, failover] = row.children;
  if (row.dataset.sign !== `${sign} ${word}`) {
    row.dataset.sign = `${sign} ${word}`;
    row.dataset.tone = tone;
    state.replaceChildren(icon(sign), h('span', null, word));
  }
  setText(address, master.address);
  setText(wrong, text);
  wrong.title = text;
  count(replicas, master.ok_replicas, master.replicas, '', master.replicas === 0);
  count(sentinels, master.ok_sentinels, master.sentinels, ` · quorum ${master.quorum}`, !master.quorum_reachable);
  const time = master.last_failover;
  if (time === null) {
    setText(failover, '–');
    delete failover.dataset.time;
    return;
  }
  if (failover.dataset.time !== String(time)) {
    failover.dataset.time = time;
    failover.replaceChildren(h('a', { href: incidentLink(master.name, time) }));
  }
  setText(failover.firstChild, ago(time, skew));
}

function count(element, well, all, rest, isBad) {
  setText(element, `${well}/${all}${rest}`);
  element.classList.toggle('bad', isBad || well < all);
  const what = element.classList.contains('c4') ? plural(all, 'replica') : plural(all, 'Sentinel');
  element.title = `${well} of ${what} answer`;
}
