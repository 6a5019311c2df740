// What the numbers say, in words.

/** A span of time, as people say it. */
export function span(ms) {
  if (ms === null || ms === undefined) return '–';
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return days === 1 ? '1 day' : `${days} days`;
}

/** How long ago a moment of the Sentinel's clock was. */
export function ago(time, skew) {
  const ms = Date.now() + skew - time;
  return ms < 2_000 ? 'just now' : `${ms < 60_000 ? `${Math.floor(ms / 1_000)} s` : span(ms)} ago`;
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hour12: false });

export const dayAndTime = (time) => DAY.format(time);
export const clock = (time) => CLOCK.format(time);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes. */
export function bytes(count) {
  if (count === null || count === undefined) return '–';
  const at = count < 1_024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(count) / 10));
  const number = count / 1_024 ** at;
  return `${at && number < 10 ? number.toFixed(1) : Math.round(number)} ${UNITS[at]}`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
export const short = (id) => (id ?? '').slice(0, 8);
/** A text in which ids of Sentinels are as short as they are elsewhere. */
export const shortened = (text) => text.replaceAll(/\b[0-9a-f]{40}\b/g, short);
export const capital = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);

/** The states of a failover in the reference's words, and in ours. */
const PHASES = {
  wait_start: 'asking for votes',
  select_slave: 'choosing a replica',
  hand_over: 'handing over',
  send_slaveof_noone: 'promoting a replica',
  wait_promotion: 'waiting for the promotion',
  reconf_slaves: 'pointing the replicas to the new master',
  update_config: 'taking the new configuration',
};

export const phase = (state) => PHASES[state] ?? state;

const SEVERITY = { critical: 0, warning: 1, info: 2 };

/** The worst of some problems first. */
export const worst = (problems) => (problems ?? []).toSorted((one, other) => SEVERITY[one.severity] - SEVERITY[other.severity]);

/**
 * How it is with a master: `rank` sorts (0 is the worst), `sign` is the icon and colour, `word` the state, `text` why.
 */
export function verdict(master, problems) {
  const known = verdicts.get(master);
  if (known && known.problems === problems) return known.verdict;
  const verdict = judged(master, problems);
  verdicts.set(master, { problems, verdict });
  return verdict;
}

/** What was judged already: with thousands of masters only a few are others at a time. */
const verdicts = new WeakMap();

function judged(master, problems) {
  const [first, ...rest] = worst(problems);
  const more = rest.length ? ` (and ${rest.length} more)` : '';
  const text = first ? `${first.problem}${more}` : '';
  const { status, failover, quorum_reachable: reachable } = master;
  const moving = failover ? `failover: ${phase(failover)}` : '';
  if (status === 'odown') {
    return failover
      ? { rank: 1, sign: 'moving', tone: 'critical', word: 'Failing over', text: moving }
      : { rank: 0, sign: 'critical', tone: 'critical', word: 'Down', text };
  }
  if (status === 'sdown') return { rank: 1, sign: 'critical', tone: 'critical', word: 'Suspected down', text };
  if (failover) return { rank: 2, sign: 'moving', tone: 'warning', word: 'Failing over', text: moving };
  if (!reachable) return { rank: 2, sign: 'critical', tone: 'critical', word: 'No failover possible', text: text || noQuorum(master) };
  if (first?.severity === 'critical') return { rank: 2, sign: 'critical', tone: 'critical', word: 'Critical', text };
  if (master.paused) return { rank: 4, sign: 'paused', tone: 'warning', word: 'Paused', text };
  if (first?.severity === 'warning') return { rank: 3, sign: 'warning', tone: 'warning', word: 'Warning', text };
  if (first) return { rank: 5, sign: 'info', tone: 'info', word: 'Well', text };
  return { rank: 6, sign: 'ok', tone: 'ok', word: 'Well', text: '' };
}

const noQuorum = (master) => `no failover possible, ${master.ok_sentinels} of ${plural(master.sentinels, 'Sentinel')}, quorum ${master.quorum}`;

/** What is wrong with a master, in a few words. */
function inShort(master, problems) {
  const { word, text, rank } = verdict(master, problems);
  if (master.failover || master.status !== 'ok') return `${word.toLowerCase()}${master.failover ? `, ${phase(master.failover)}` : ''}${master.quorum_reachable ? '' : `, ${noQuorum(master)}`}`;
  if (!master.quorum_reachable) return noQuorum(master);
  return rank < 6 && text ? text : word.toLowerCase();
}

let surveyed = {};

/** What all masters together come to: the worst of them, how many have warnings, who is paused, whose failover was the last. */
export function survey(masters, problems) {
  if (surveyed.masters === masters && surveyed.problems === problems) return surveyed;
  const found = { masters, problems, bad: null, rank: 9, warned: 0, paused: [], last: null };
  for (const master of masters.values()) {
    const { rank } = verdict(master, problems.get(master.name));
    if (rank < found.rank) [found.bad, found.rank] = [master, rank];
    if (rank === 3 || rank === 4) found.warned += 1;
    if (master.paused) found.paused.push(master);
    if ((master.last_failover ?? 0) > (found.last?.last_failover ?? 0)) found.last = master;
  }
  surveyed = found;
  return found;
}

/** The whole truth in one sentence, and how bad it is. */
export function sentence({ status, masters, problems }) {
  if (!status) return { level: 'none', text: 'Asking this Sentinel …' };
  if (!masters.size) return { level: 'info', text: 'No master is watched yet' };
  const own = worst(problems.get(''));
  const { bad, rank, warned } = survey(masters, problems);
  const { masters: all, masters_well: well } = status;
  const number = (count) => count.toLocaleString('en');
  const parts = [];
  if (all > 1) parts.push(well === all ? `All ${plural(all, 'master')} well` : `${number(well)} of ${plural(all, 'master')} well`);
  else if (well) parts.push(`${bad.name} is well`);
  if (rank < 5) parts.push(`${all > 1 || !well ? `${bad.name}: ` : ''}${inShort(bad, problems.get(bad.name))}`);
  if (all - well > 1) parts.push(`${number(all - well - 1)} more not well`);
  const more = rank === 3 || rank === 4 ? warned - 1 : warned;
  if (more > 0) parts.push(`${number(more)} ${rank < 5 ? 'more ' : ''}with warnings`);
  if (own[0]?.severity === 'critical') parts.push(`this Sentinel: ${own[0].problem}`);
  return { level: level(status, bad, rank, own), text: parts.join(' · ') };
}

function level(status, bad, rank, own) {
  if (own[0]?.severity === 'critical') return 'critical';
  if (rank < 3) return rank === 2 && bad.failover ? 'warning' : 'critical';
  return rank < 5 || own[0]?.severity === 'warning' || status.tilt_ms !== null ? 'warning' : 'ok';
}
