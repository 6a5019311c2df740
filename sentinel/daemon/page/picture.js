// The picture of a master: Sentinels as an arc above, each spoke one opinion; replicas below, on lines that carry lag and the
// state of the link. It is laid out in the pixels that there are, so that text is as large on a phone.

import { s } from './dom.js';
import { opinions, standing, told } from './opinions.js';
import { phase, short, span } from './words.js';

const LETTER = 7.250;

/** The picture, as wide as this. */
export function picture(detail, width) {
  const { master, replicas } = detail;
  const heard = some(opinions(detail), Math.max(3, Math.floor(width / 128)));
  const perRow = Math.max(2, Math.floor(width / 176));
  const copies = some(replicas, 2 * perRow);
  const rows = Math.ceil(copies.length / perRow);
  const middle = { x: width / 2, y: 268 };
  const height = 268 + 44 + (rows ? rows * 108 + 34 : 20);
  const id = 'picture-title';
  return s('svg', { class: 'picture', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-labelledby': id },
    s('title', { id }, told(detail)),
    s('g', { 'aria-hidden': 'true' },
      spokes(heard, middle, width),
      lines(copies, perRow, middle, width, detail),
      sentinels(heard, width),
      nodes(copies, perRow, middle, width, detail),
      centre(detail, middle, Math.min(260, width - 24))));
}

/** The first of many; the last place says how many more there are. */
function some(list, most) {
  return list.length <= most ? list : [...list.slice(0, most - 1), { more: list.length - most + 1 }];
}

/** Where the n-th of so many Sentinels stands. */
function onArc(at, count, width) {
  const step = Math.min(210, (width - 16) / count);
  const x = width / 2 + (at - (count - 1) / 2) * step;
  const off = (x - width / 2) / (width / 2);
  return { x, y: 62 + 44 * off * off, room: step - 4 };
}

function spokes(list, middle, width) {
  return list.filter(({ more }) => !more).map(({ sign }, at) => {
    const { x, y } = onArc(at, list.length, width);
    const from = y + 48;
    return s('line', { class: `spoke tone-${sign}`, x1: x, y1: from, x2: middle.x + (x - middle.x) * 0.22, y2: middle.y - 40 });
  });
}

function sentinels(list, width) {
  return list.map((one, at) => {
    const { x, y, room } = onArc(at, list.length, width);
    if (one.more) return label(x, y + 6, `+${one.more} more`, 'text-small', room);
    return s('g', { class: `tone-${one.sign}` },
      s('title', null, `${one.name} ${one.id} ${one.address}: ${one.word} ${one.text}`),
      label(x, y - 42, one.name, one.isOurs ? 'text-strong' : 'text-name', room),
      label(x, y - 26, one.address || short(one.id), 'text-mono', room),
      mark(one.sign, x, y),
      label(x, y + 38, one.word, 'text-word', room));
  });
}

const MARKS = {
  ok: ['M0-17A17 17 0 1 1 0 17A17 17 0 1 1 0-17Z', 'm-7 .500 5 5 9.500-10.500'],
  warning: ['M0-18 20 16H-20Z', 'M0-6V5M0 10v.500'],
  critical: ['M-7.500-17h15L17-7.500v15L7.500 17h-15L-17 7.500v-15Z', 'm-6-6 12 12m0-12-12 12'],
  unknown: ['M0-17A17 17 0 1 1 0 17A17 17 0 1 1 0-17Z', 'M-7 0H7'],
  differs: ['M0-20 20 0 0 20-20 0Z', 'M-6-3H6M-6 3H6M4-8-4 8'],
  moving: ['M0-17A17 17 0 1 1 0 17A17 17 0 1 1 0-17Z', 'M0 8V-8m-6 6 6-6 6 6'],
};

/** A sign whose shape says what its colour says. */
function mark(sign, x, y, scale = 1) {
  const [shape, line] = MARKS[sign] ?? MARKS.unknown;
  return s('g', { class: `mark mark-${sign}`, transform: `translate(${x} ${y}) scale(${scale})` },
    s('path', { class: 'mark-shape', d: shape }), s('path', { class: 'mark-line', d: line }));
}

function label(x, y, text, kind, room, anchor = 'middle') {
  return s('text', { class: kind, x, y, 'text-anchor': anchor }, fitted(text, room, kind === 'text-small' ? 6.600 : LETTER));
}

/** As much of a text as there is room for: of an address the end tells more than the middle. */
export function fitted(text, room, letter = LETTER) {
  const most = Math.max(6, Math.floor(room / letter));
  if (text.length <= most) return text;
  const end = Math.floor(most / 2);
  return `${text.slice(0, most - end - 1)}…${text.slice(-end)}`;
}

function centre({ master, node }, { x, y }, width) {
  const sign = { odown: 'critical', sdown: 'warning' }[master.status] ?? (master.failover ? 'moving' : master.paused ? 'paused' : 'ok');
  const down = node?.sdown_ms === null ? '' : ` for ${span(node?.sdown_ms)}`;
  const state = master.failover
    ? phase(master.failover)
    : { odown: `objectively down${down}`, sdown: `subjectively down${down}` }[master.status] ?? (master.paused ? 'up, failovers paused' : 'up');
  const left = x - width / 2;
  return s('g', { class: `box master tone-${sign}` },
    s('title', null, `${master.name} ${master.address}: ${state}`),
    s('rect', { x: left, y: y - 38, width, height: 76, rx: 12 }),
    mark(sign === 'paused' ? 'unknown' : sign, left + 30, y, 0.95),
    label(left + 58, y - 15, 'Master', 'text-small', width - 70, 'start'),
    label(left + 58, y + 5, master.address, 'text-mono text-large', width - 66, 'start'),
    label(left + 58, y + 24, state, 'text-word', width - 66, 'start'));
}

/** Where the n-th of the replicas stands: the middle of its upper edge. */
function below(at, count, perRow, middle, width) {
  const row = Math.floor(at / perRow);
  const inRow = Math.min(perRow, count - row * perRow);
  const step = Math.min(230, (width - 8) / inRow);
  return { x: width / 2 + ((at % perRow) - (inRow - 1) / 2) * step, y: middle.y + 38 + 74 + row * 108, wide: Math.min(190, step - 12) };
}

function lines(list, perRow, middle, width, detail) {
  return list.filter(({ more }) => !more).map((replica, at) => {
    const { x, y } = below(at, list.length, perRow, middle, width);
    const { line, sign } = standing(replica, detail.master, detail.candidates);
    return s('line', { class: `thread thread-${line} tone-${sign}`, x1: middle.x + (x - middle.x) * 0.25, y1: middle.y + 38, x2: x, y2: y });
  });
}

function nodes(list, perRow, middle, width, detail) {
  return list.map((replica, at) => {
    const { x, y, wide } = below(at, list.length, perRow, middle, width);
    if (replica.more) return label(x, y + 36, `+${replica.more} more`, 'text-small', wide);
    const { sign, word, link, place } = standing(replica, detail.master, detail.candidates);
    const left = x - wide / 2;
    const inner = wide - 46;
    const tag = fitted(link, wide - 10, 6.600);
    const tagWidth = tag.length * 6.600 + 14;
    return s('g', { class: `box tone-${sign}` },
      s('title', null, `${replica.address}: ${word}, ${link}${place ? `, ${place}` : ''}`),
      s('rect', { x: left, y, width: wide, height: 62, rx: 10 }),
      mark(sign, left + 21, y + 31, 0.62),
      label(left + 40, y + 19, 'Replica', 'text-small', inner, 'start'),
      label(left + 40, y + 36, replica.address, 'text-mono', inner, 'start'),
      label(left + 40, y + 53, place && sign === 'ok' ? place : word, 'text-small text-tone', inner + 6, 'start'),
      tag ? s('g', { class: 'tag' },
        s('rect', { x: x - tagWidth / 2, y: y - 29, width: tagWidth, height: 20, rx: 10 }),
        s('text', { class: 'text-small', x, y: y - 15, 'text-anchor': 'middle' }, tag)) : null);
  });
}
