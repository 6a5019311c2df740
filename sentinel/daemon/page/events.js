// Events, the newest first.

import { h, show } from './dom.js';
import { masterLink } from './head.js';
import { clock, dayAndTime, shortened } from './words.js';
import { read } from './timeline.js';

/** So many are shown; a filter finds the others. */
const SHOWN = 300;
const LEVELS = [['all', 'All'], ['notice', 'Notice and worse'], ['warning', 'Warning']];
const WORSE = { all: ['debug', 'verbose', 'notice', 'warning'], notice: ['notice', 'warning'], warning: ['warning'] };
const choice = { text: '', level: 'all', frozen: null };

/** Draws it. `again` draws it once more. */
export function events(view, state, route, again) {
  const change = (part) => {
    Object.assign(choice, part);
    again();
  };
  const all = choice.frozen ?? state.events;
  const text = choice.text.trim().toLowerCase();
  const isWanted = ({ event, level, payload, master }) => event === 'gap' || (WORSE[choice.level].includes(level)
    && (!text || `${event} ${payload} ${master ?? ''}`.toLowerCase().includes(text)));
  const wanted = all.filter(isWanted);
  const waiting = choice.frozen ? state.events.length - choice.frozen.length : 0;
  show(view, h('div', { class: 'page', 'data-key': 'events' },
    h('h1', null, 'Events'),
    h('div', { class: 'tools' },
      h('div', { class: 'tool' }, h('label', { for: 'event-text', class: 'unseen' }, 'Filter'), h('input', { id: 'event-text', type: 'search', placeholder: 'Event, master or address', autocomplete: 'off', oninput: (event) => change({ text: event.target.value }) })),
      h('div', { class: 'tool' }, h('label', { for: 'event-level' }, 'Level'), h('select', { id: 'event-level', onchange: (event) => change({ level: event.target.value }) }, LEVELS.map(([key, name]) => h('option', { value: key }, name)))),
      h('button', { type: 'button', class: 'chip', 'aria-pressed': String(choice.frozen !== null), onclick: () => change({ frozen: choice.frozen ? null : state.events }) }, choice.frozen ? `Go on${waiting > 0 ? ` (${waiting} new)` : ''}` : 'Hold')),
    wanted.length
      ? h('ol', { class: 'events card' }, wanted.slice(-SHOWN).reverse().map(row))
      : h('p', { class: 'nothing' }, 'No event like this is kept: this Sentinel keeps the last 2,048 since its start.'),
    wanted.length > SHOWN ? h('p', { class: 'nothing' }, `${wanted.length - SHOWN} older ones are kept: a filter finds them.`) : null));
}

function row({ id, time, event, master, payload, cause, missed }) {
  if (event === 'gap') {
    return h('li', { class: 'gap' }, missed === null ? 'What is before this is not known: it was before the start of this Sentinel, or is not kept.' : `${missed} events are missing here.`);
  }
  const { title, tone } = read(`${event} ${payload}`);
  const isKnown = tone !== 'aside' || event === '+slave';
  return h('li', { 'data-tone': isKnown ? tone : 'aside', 'data-key': id },
    h('time', { datetime: new Date(time).toISOString(), title: dayAndTime(time) }, clock(time)),
    h('code', { class: 'channel' }, event),
    h('span', { class: 'of' }, master ? h('a', { href: masterLink(master) }, master) : ''),
    h('span', { class: 'what' }, isKnown && !event.includes('problem') ? [h('b', null, title), ' '] : '', h('span', { class: 'payload' }, shortened(payload), cause ? ` (${cause.text})` : '')));
}
