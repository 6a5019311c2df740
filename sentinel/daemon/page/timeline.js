// What happened, step by step, with milliseconds.

import { h, s } from './dom.js';
import { shortened, span } from './words.js';

/** What the channels of events say, in words; and what they mean: bad, good, a step, or something beside. */
const STEPS = {
  '+sdown': ['subjectively down', 'bad'],
  '-sdown': ['is back', 'good'],
  '+odown': ['The master is objectively down: the quorum agrees', 'bad'],
  '-odown': ['The master is not objectively down any more', 'good'],
  '+new-epoch': ['A new epoch has begun', 'step'],
  '+try-failover': ['This Sentinel asks the others for their votes', 'step'],
  '+vote-for-leader': ['This Sentinel votes', 'step'],
  '+elected-leader': ['This Sentinel leads the failover', 'step'],
  '+failover-state-select-slave': ['It chooses a replica', 'step'],
  '+selected-slave': ['The replica is chosen', 'step'],
  '-selected-slave': ['The chosen replica is lost', 'bad'],
  '+failover-state-hand-over': ['The master hands over', 'step'],
  '+handed-over': ['The master has handed over', 'step'],
  '+master-freed': ['The master takes writes again', 'step'],
  '-failover-lossless': ['Not without loss', 'bad'],
  '+failover-state-send-slaveof-noone': ['It is told to be the master', 'step'],
  '+failover-state-wait-promotion': ['Its promotion is waited for', 'step'],
  '+promoted-slave': ['It is the master', 'good'],
  '+promoted-offset': ['What the promotion brought', 'step'],
  '+failover-state-reconf-slaves': ['The other replicas are pointed to it', 'step'],
  '+slave-reconf-sent': ['A replica is told to follow it', 'step'],
  '+slave-reconf-inprog': ['A replica copies its data', 'step'],
  '+slave-reconf-done': ['A replica follows it', 'good'],
  '+failover-end': ['The failover has ended', 'good'],
  '+failover-end-for-timeout': ['The failover has ended: its time is up', 'bad'],
  '+switch-master': ['Clients are given the new master', 'good'],
  '+config-update-from': ['Another Sentinel announces a newer configuration', 'step'],
  '-failover-abort-not-elected': ['Given up: not elected', 'bad'],
  '-failover-abort-no-good-slave': ['Given up: no replica can be promoted', 'bad'],
  '-failover-abort-slave-timeout': ['Given up: the replica did not take over in time', 'bad'],
  '-failover-abort-master-timeout': ['Given up: the master did not hand over in time', 'bad'],
  '+convert-to-slave': ['The old master is made a replica', 'step'],
  '+role-change': ['A node reports the role that it should have', 'step'],
  '-role-change': ['A node reports another role', 'step'],
  '+slave': ['A replica was found', 'aside'],
  '+paused': ['An operator has paused failovers', 'step'],
  '-paused': ['Failovers are no longer paused', 'step'],
  '+tilt': ['TILT: this process stood still', 'bad'],
  '-tilt': ['TILT is over', 'good'],
  '+problem': ['A problem', 'bad'],
  '-problem': ['A problem is over', 'good'],
  '+problem-lasts': ['A problem lasts', 'bad'],
};

/** The ends of phases, in their order, and what the time until then was spent on. */
const PHASES = [
  ['+odown', 'agreeing that it is down'],
  ['+elected-leader', 'electing a leader'],
  ['+selected-slave', 'choosing a replica'],
  ['+handed-over', 'handing over'],
  ['+promoted-slave', 'promoting it'],
  ['+config-update-from', 'another Sentinel’s failover'],
  ['+switch-master', 'telling clients'],
  ['+failover-end', 'pointing the replicas'],
];

/** A line of an incident, or an event, in words. */
export function read(text) {
  const [first, ...rest] = text.split(' ');
  const payload = rest.join(' ');
  const step = STEPS[first];
  if (!step) return { channel: '', title: text, tone: 'aside', raw: '' };
  const [words, tone] = step;
  const isOf = ['+sdown', '-sdown'].includes(first);
  return { channel: first, title: isOf ? `${subject(payload)} ${words}` : words, tone, raw: payload, cause: /\(([^()]*)\)$/.exec(payload)?.[1] ?? '' };
}

/** Whom a payload is about: `slave 10.0.0.2:6379 10.0.0.2 6379 @ …`. */
function subject(payload) {
  const [kind, name, host, port] = payload.split(' ');
  if (kind === 'master') return `The master ${host}:${port} is`;
  return `${{ slave: 'The replica', sentinel: 'The Sentinel' }[kind] ?? ''} ${kind === 'sentinel' ? name.slice(0, 8) : name} is`;
}

/** Milliseconds of each phase, as far as it was seen. */
export function phases(lines) {
  const ends = new Map();
  for (const { at_ms: at, text } of lines) {
    const channel = text.split(' ', 1)[0];
    if (!ends.has(channel)) ends.set(channel, at);
  }
  let from = 0;
  return PHASES.filter(([channel]) => ends.has(channel)).flatMap(([channel, name]) => {
    const to = ends.get(channel);
    if (to < from) return [];
    const one = { name, from, ms: to - from };
    from = to;
    return [one];
  });
}

/** The phases as a bar, in an SVG since its widths are attributes: the page has no inline styles. */
function bar(list) {
  const whole = list.reduce((sum, { ms }) => sum + ms, 0);
  if (!whole) return null;
  const least = 6;
  const widths = list.map(({ ms }) => least + (ms / whole) * (1_000 - least * list.length));
  let from = 0;
  const rects = widths.map((width, at) => {
    from += width;
    return s('rect', { class: `phase p${at % 8}`, x: from - width, width: Math.max(0, width - 2), height: 12 });
  });
  return h('div', { class: 'phases', 'data-key': 'phases' },
    s('svg', { class: 'phase-bar', viewBox: '0 0 1000 12', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, rects),
    h('ol', { class: 'phase-names' }, list.map(({ name, ms }, at) => h('li', null,
      s('svg', { viewBox: '0 0 10 10', width: 10, height: 10, 'aria-hidden': 'true' }, s('rect', { class: `phase p${at % 8}`, width: 10, height: 10, rx: 2 })),
      name, ' ', h('b', null, exact(ms))))));
}

/** Milliseconds as they are, as long as they can be read. */
const exact = (ms) => (ms < 10_000 ? `${ms.toLocaleString('en')} ms` : span(ms));

/** The timeline of some lines, each `{at_ms, text}`. */
export function timeline(lines, omitted = 0) {
  let before = 0;
  const items = lines.map(({ at_ms: at, text }) => {
    const { channel, title, tone, raw, cause } = read(text);
    const since = at - before;
    before = at;
    return h('li', { 'data-tone': tone },
      h('span', { class: 'at' }, `+${at.toLocaleString('en')} ms`),
      h('span', { class: 'since', title: 'since the step before' }, since ? `${exact(since)} later` : ''),
      h('span', { class: 'step' }, h('b', null, shortened(title), cause ? `: ${cause}` : ''), channel ? h('code', null, shortened(`${channel} ${raw}`)) : null));
  });
  return [bar(phases(lines)), h('ol', { class: 'timeline', 'data-key': 'timeline' }, items), omitted ? h('p', { class: 'nothing' }, `${omitted} lines were left out.`) : null];
}

const ENDS = new Set(['+failover-end', '+failover-end-for-timeout']);
const PROBLEMS = new Set(['+problem', '+problem-lasts', '-problem']);

/**
 * Of the events of a master those of its last incident, as lines; when it began and ended (null: it goes on). As the Sentinel
 * reckons: for who does not lead the failover it is over with the switch.
 */
export function lastIncident(events, name) {
  let lines = [];
  let began = null;
  let ended = null;
  let follows = false;
  for (const { event, master, payload, cause, time } of events) {
    if (master !== name || PROBLEMS.has(event)) continue;
    const isOfMaster = payload.startsWith('master ');
    const begins = (event === '+sdown' && isOfMaster) || event === '+try-failover' || event === '+config-update-from';
    if (begins && (began === null || ended !== null)) [lines, began, ended, follows] = [[], time, null, false];
    if (began === null || ended !== null) continue;
    const text = STEPS[event] ? `${event} ${payload}${cause ? ` (${cause.text})` : ''}` : payload.replace(/^\S+ \S+ #/, '');
    lines.push({ at_ms: Math.max(0, time - began), text });
    follows ||= event === '+config-update-from';
    if (ENDS.has(event) || (event === '-sdown' && isOfMaster) || (event === '+switch-master' && follows)) ended = time;
  }
  return { lines, began, ended };
}
