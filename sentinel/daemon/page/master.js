// One master with all that belongs to it.

import { h, icon, show } from './dom.js';
import { incidentLink } from './head.js';
import { picture } from './picture.js';
import { replicas, sentinels, settings } from './tables.js';
import { lastIncident, timeline } from './timeline.js';
import { ago, capital, dayAndTime, span, verdict, worst } from './words.js';

/** Draws it. */
export function master(view, state, { master: name }) {
  const { detail } = state;
  if (detail?.name !== name) {
    show(view, h('div', { class: 'page', 'data-key': `wait-${name}` }, trail(name), h('h1', null, name), h('p', { class: 'nothing' }, 'Asking this Sentinel …')));
    return;
  }
  if (detail.missing) {
    show(view, h('div', { class: 'page', 'data-key': `missing-${name}` }, trail(name), h('h1', null, name),
      h('p', { class: 'nothing' }, 'This Sentinel watches no master of this name.'), history(name, detail.history, state.skew)));
    return;
  }
  const width = Math.max(300, Math.min(1_120, (view.clientWidth || innerWidth) - (innerWidth < 720 ? 28 : 74)));
  const judged = verdict(detail.master, detail.problems.filter((problem) => problem.master === name));
  show(view, h('div', { class: 'page', 'data-key': `master-${name}` },
    trail(name),
    title(name, detail, judged, state.skew),
    h('section', { class: 'card centre', 'aria-label': 'Picture', 'data-key': 'picture' }, picture(detail, width)),
    now(state, name, detail.master.last_failover ?? 0),
    problems(detail.problems),
    replicas(detail),
    sentinels(detail),
    explained(detail.explain),
    history(name, detail.history, state.skew),
    settings('Settings', detail.settings)));
}

/** The way back. */
export function trail(...names) {
  return h('p', { class: 'trail' }, h('a', { href: '#/' }, 'Overview'), names.map((name) => [' / ', name]));
}

function title(name, { master: { address, last_failover: last, config_epoch: epoch, quorum, paused }, explain }, { sign, tone, word }, skew) {
  const outlook = explain?.sentences.find((sentence) => /^(If the master died|There is no failover|A failover is due)/.test(sentence));
  return h('div', { class: 'title', 'data-key': 'title' },
    h('div', { class: 'name' }, h('h1', null, name), h('span', { class: 'state pill', 'data-tone': tone }, icon(sign), word), paused && sign !== 'paused' ? h('span', { class: 'state pill', 'data-tone': 'warning' }, icon('paused'), 'Paused') : null),
    h('dl', { class: 'facts' },
      h('div', null, h('dt', null, 'Address'), h('dd', null, h('code', { class: 'address' }, address))),
      h('div', null, h('dt', null, 'Last failover'), h('dd', null, last === null ? 'none on record' : h('a', { href: incidentLink(name, last) }, ago(last, skew)))),
      h('div', null, h('dt', null, 'Quorum'), h('dd', null, String(quorum))),
      h('div', null, h('dt', null, 'Epoch'), h('dd', null, String(epoch)))),
    outlook ? h('p', { class: 'outlook' }, outlook) : null);
}

/** So long something that is over is shown above all else, in milliseconds. */
const JUST = 120_000;

/** A failover as it happens, and for a while when it is over. */
function now({ events, skew }, name, last) {
  const { lines, began, ended } = lastIncident(events, name);
  if (!lines.length || (ended !== null && Date.now() + skew - ended > JUST)) return null;
  const isOver = ended !== null;
  return h('section', { class: 'card now', 'aria-labelledby': 'now', 'data-key': 'now', 'data-over': isOver ? '' : null },
    h('h2', { id: 'now' }, isOver ? 'Just happened' : 'Happening now'),
    h('p', { class: 'hint' }, `Began ${ago(began, skew)}${isOver ? `, took ${span(ended - began)}. ` : ''}`, isOver && last >= began ? h('a', { href: incidentLink(name, last) }, 'Permanent link') : ''),
    timeline(lines));
}

/** Everything that is wrong, with what mends it. */
export function problems(list, empty = 'Nothing is wrong.') {
  return h('section', { class: 'card', 'aria-labelledby': 'problems', 'data-key': 'problems' },
    h('h2', { id: 'problems' }, 'Problems'),
    list.length
      ? h('ul', { class: 'problems' }, worst(list).map(({ code, severity, address, sentinel, age_ms: age, problem, remedy }) => h('li', { 'data-tone': severity, 'data-key': `${code}${address ?? ''}${sentinel ?? ''}` },
        icon(severity, 20),
        h('div', null,
          h('p', null, h('strong', null, capital(problem))),
          h('p', { class: 'hint' }, h('code', null, code), address ? [' ', h('code', null, address)] : '', ` for ${span(age)}`),
          h('p', { class: 'remedy' }, h('b', null, 'To mend it: '), remedy)))))
      : h('p', { class: 'nothing good' }, icon('ok'), empty));
}

function explained(explain) {
  if (!explain) return null;
  return h('section', { class: 'card', 'aria-labelledby': 'explained', 'data-key': 'explained' },
    h('h2', { id: 'explained' }, 'In sentences'), h('ul', { class: 'sentences' }, explain.sentences.map((sentence) => h('li', null, sentence))));
}

function history(name, list, skew) {
  return h('section', { class: 'card', 'aria-labelledby': 'history', 'data-key': 'history' },
    h('h2', { id: 'history' }, 'History'),
    list?.length
      ? h('ol', { class: 'history' }, list.map(({ id, outcome, lasted_ms: lasted }) => h('li', { 'data-key': `incident-${id}` },
        h('a', { href: incidentLink(name, id) }, capital(outcome)),
        h('span', { class: 'hint' }, `${dayAndTime(id)} (${ago(id, skew)}), it took ${span(lasted)}`))))
      : h('p', { class: 'nothing' }, 'Nothing has happened to it that is on record.'));
}
