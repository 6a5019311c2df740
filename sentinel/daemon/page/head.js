// What stands above every view: the sentence, the banners, how the connection is, and the form for a token.

import { h, icon, setText, show } from './dom.js';
import { ago, capital, sentence, short, span, survey, worst } from './words.js';
import { token } from './wire.js';

const byId = (id) => document.getElementById(id);
const SIGNS = { ok: 'ok', info: 'info', warning: 'warning', critical: 'critical', none: 'unknown' };
let told = '';

/** Draws it. */
export function head(state, route) {
  link(state);
  const { level, text } = sentence(state);
  const isStale = state.link.state === 'lost' && state.status !== null;
  const isRefused = state.link.state === 'refused';
  const isNever = state.link.state === 'lost' && state.status === null;
  const shown = isRefused ? 'A token is needed' : isNever ? 'This Sentinel does not answer' : isStale ? `Not known now. The last news: ${text}` : text;
  const truth = byId('truth');
  truth.dataset.level = isRefused ? 'info' : isStale || isNever ? 'none' : level;
  // Set only when it is another one: a screen reader says it aloud.
  if (shown !== told) {
    told = shown;
    show(byId('sentence'), [icon(SIGNS[truth.dataset.level], 28), h('span', null, shown)]);
    document.title = `${state.status && !isRefused ? shown.split(' · ').slice(0, 2).join(' · ') : 'sentinel'} – sentinel`;
  }
  show(byId('aside'), isRefused ? [] : aside(state));
  show(byId('banners'), isRefused ? [] : banners(state));
  for (const anchor of byId('nav').children) {
    const page = { '#/': 'overview', '#/events': 'events', '#/sentinel': 'sentinel' }[anchor.getAttribute('href')];
    if (page === route.page) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
}

function link({ link: { state, since }, loadedAt }) {
  const element = byId('link');
  element.dataset.link = state;
  const age = span(Math.floor((Date.now() - since) / 1_000) * 1_000);
  const texts = {
    connecting: 'Connecting',
    live: 'Live',
    lost: loadedAt ? 'Connection lost' : 'No connection',
    refused: 'No access',
  };
  setText(element, texts[state]);
  element.title = state === 'live' ? `connected for ${age}` : '';
}

function aside({ status, masters, problems, skew }) {
  if (!status) return [];
  const { last } = survey(masters, problems);
  const failover = last
    ? [h('a', { href: incidentLink(last.name, last.last_failover) }, 'Last failover'), `: ${masters.size > 1 ? `${last.name}, ` : ''}${ago(last.last_failover, skew)}`]
    : ['No failover is on record'];
  return [h('span', null, failover), h('span', null, 'as Sentinel ', h('code', null, short(status.id)), ' sees it')];
}

export const masterLink = (name) => `#/masters/${encodeURIComponent(name)}`;
export const incidentLink = (name, id) => `${masterLink(name)}/history/${encodeURIComponent(id)}`;

function banners(state) {
  const { status, masters, problems, link: { state: connection, since, text } } = state;
  const all = [];
  if (connection === 'lost') {
    const when = span(Math.floor((Date.now() - since) / 1_000) * 1_000);
    const why = status ? ' What is shown is what it was then.' : '';
    all.push(banner('lost', 'critical', 'No connection to this Sentinel', `for ${when}; it is tried again and again.${why}`, text));
  }
  if (!status) return all;
  if (status.tilt_ms !== null) {
    all.push(banner('tilt', 'warning', 'TILT', `for ${span(status.tilt_ms)}: this process stood still, so it asks all anew before it acts. It starts no failover meanwhile.`));
  }
  const { paused } = survey(masters, problems);
  if (paused.length) {
    const named = paused.slice(0, 3).map(({ name }, at) => [at ? ', ' : '', h('a', { href: masterLink(name) }, name)]);
    const reason = paused.length === 1 ? pauseReason(problems.get(paused[0].name)) : '';
    all.push(banner('paused', 'paused', 'Failovers are paused', ['for ', named, paused.length > 3 ? ` and ${paused.length - 3} more` : '', reason, '. A master that dies now is not replaced.']));
  }
  for (const { code, severity, problem, remedy, age_ms: age } of worst(problems.get(''))) {
    if (code === 'tilt') continue;
    all.push(banner(`${code}${problem}`, severity, capital(problem), ` since ${span(age)}`, remedy));
  }
  return all.length > 5 ? [...all.slice(0, 4), banner('more', 'info', `${all.length - 4} more`, [' see ', h('a', { href: '#/sentinel' }, 'this Sentinel')])] : all;
}

function pauseReason(problems) {
  const sentence = problems?.find(({ code }) => code === 'paused')?.problem ?? '';
  const at = sentence.indexOf(': ');
  return at < 0 ? '' : ` (${sentence.slice(at + 2)})`;
}

function banner(key, sign, title, text, small) {
  return h('div', { class: 'banner', 'data-tone': sign, 'data-key': `banner-${key}` },
    icon(sign === 'lost' ? 'unknown' : sign, 18),
    h('p', null, h('strong', null, title), ' ', text, small ? h('small', null, small) : null));
}

/** The form that asks for the token. */
export function tokenForm(state, retry) {
  const isWrong = token.get() !== null;
  const submit = (event) => {
    event.preventDefault();
    const given = event.target.elements.token.value.trim();
    if (!given) return;
    token.set(given);
    event.target.reset();
    retry();
  };
  return h('form', { class: 'token card', onsubmit: submit, autocomplete: 'off' },
    h('h1', null, 'Who may read'),
    h('p', { role: 'alert', class: isWrong ? 'wrong' : null }, isWrong ? `${capital(state.link.text)}.` : `This Sentinel tells what it knows only to those who have its token (http-token).`),
    h('label', { for: 'token' }, 'Token'),
    h('div', { class: 'field' },
      h('input', { id: 'token', name: 'token', type: 'password', required: true, autocomplete: 'off', spellcheck: 'false', 'aria-invalid': isWrong ? 'true' : null }),
      h('button', { type: 'submit' }, 'Show')),
    h('p', { class: 'hint' }, 'It is kept until this tab is closed, and sent to this Sentinel only.'));
}
