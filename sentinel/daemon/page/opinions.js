// What each Sentinel thinks of a master, and how each replica is, in one word and one sentence: the picture and the tables
// say the same.

import { bytes, capital, short, span } from './words.js';

const DOWN = { odown: ['critical', 'objectively down'], sdown: ['warning', 'subjectively down'] };

/** One for each Sentinel, ours first: `sign`, `word`, and `text` for those who want to know more. */
export function opinions({ master, sentinels, consensus }) {
  const told = new Map((consensus?.opinions ?? []).map((opinion) => [opinion.sentinel, opinion]));
  const known = new Set(sentinels.map(({ id }) => id));
  const own = (consensus?.opinions ?? []).find(({ sentinel }) => !known.has(sentinel));
  const [sign, word] = DOWN[master.status] ?? ['ok', 'up'];
  const ours = { id: own?.sentinel ?? '', address: '', name: 'This Sentinel', isOurs: true, sign, word, text: '', opinion: own };
  return [ours, ...sentinels.map((sentinel) => other(sentinel, told.get(sentinel.id), master))];
}

function other(sentinel, opinion, master) {
  const all = { id: sentinel.id, address: sentinel.address, name: short(sentinel.id), isOurs: false, opinion, sentinel };
  const says = (sign, word, text = '') => ({ ...all, sign, word, text });
  if (sentinel.sdown_ms !== null) return says('unknown', 'unreachable', `silent for ${span(sentinel.last_ok_ping_ms)}`);
  if (opinion && !opinion.usable.startsWith('yes')) return says('unknown', 'does not count', opinion.usable);
  if (sentinel.master_down) {
    return master.status === 'odown' ? says('critical', 'objectively down', 'agrees') : says('warning', 'subjectively down');
  }
  if (opinion?.master && opinion.master !== master.address) return says('differs', 'names another', opinion.master);
  if (!sentinel.connected) return says('unknown', 'not connected');
  return says('ok', 'up');
}

/** How a replica is: `sign`, `word`, `link` (what its line says), `line` (how it looks). */
export function standing(replica, master, candidates) {
  const candidate = candidates?.find(({ address }) => address === replica.address);
  const place = candidate?.rank === 1 ? 'next in line' : candidate?.rank ? `no. ${candidate.rank} in line` : candidate?.refused ? 'not eligible' : '';
  const all = { place, refused: candidate?.refused ?? '', candidate };
  if (replica.sdown_ms !== null) return { ...all, sign: 'critical', word: 'down', link: `silent ${span(replica.last_ok_ping_ms)}`, line: 'lost' };
  if (replica.promoted) return { ...all, sign: 'moving', word: 'being promoted', link: '', line: 'up', place: '' };
  if (replica.follows && replica.follows !== master.address) return { ...all, sign: 'warning', word: 'follows another', link: `follows ${replica.follows}`, line: 'down' };
  if (!replica.link_up) {
    const age = replica.link_down_ms ? ` ${span(replica.link_down_ms)}` : '';
    return { ...all, sign: 'warning', word: 'link down', link: `link down${age}`, line: 'down' };
  }
  const link = replica.lag_bytes === null ? 'link up' : replica.lag_bytes === 0 ? 'in step' : `${bytes(replica.lag_bytes)} behind`;
  return { ...all, sign: 'ok', word: 'well', link, line: 'up' };
}

/** The same in a sentence, for those who do not see the picture. */
export function told(detail) {
  const { master, replicas, candidates } = detail;
  const heard = opinions(detail).map(({ name, word }) => `${name}: ${word}`);
  const copies = replicas.map((replica) => {
    const { word, link } = standing(replica, master, candidates);
    return `${replica.address}: ${word}, ${link}`;
  });
  return capital(`the master ${master.address}. Sentinels: ${heard.join('; ')}. Replicas: ${copies.join('; ') || 'none'}.`);
}
