// Events of the Sentinel as they happen. EventSource cannot send a token, so the stream is read by hand: it is resumed behind
// the last event that came.

import { Refused, request } from './wire.js';

/** The Sentinel says something every 15 s; who hears nothing for so long has lost it. */
const SILENCE = 40_000;
const RETRY = { first: 500, most: 4_000 };
/** No run has numbered this one: all that is kept comes. */
const ALL_THAT_IS_KEPT = 'none';

/**
 * Follows the events for ever. Calls `opened()`, `events(list)` for each piece that came, `lost(error)` and `refused(text)`.
 * Returns a function that tries at once.
 */
export function follow({ opened, events, lost, refused }) {
  let last = ALL_THAT_IS_KEPT;
  let pause = RETRY.first;
  let wake = () => {};

  async function once() {
    const abort = new AbortController();
    let watchdog = setTimeout(() => abort.abort(), SILENCE);
    try {
      const answer = await request('v1/events', { headers: { 'Last-Event-ID': last }, signal: abort.signal });
      opened();
      pause = RETRY.first;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new Error('the stream has ended');
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE);
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        const list = blocks.map(parsed).filter((event) => event !== null);
        last = list.findLast((event) => event.id)?.id ?? last;
        if (list.length) events(list);
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  async function always() {
    for (;;) {
      try {
        await once();
      } catch (error) {
        const isRefused = error instanceof Refused;
        if (isRefused) refused(error.message);
        else lost(error);
        // Without a token nothing is tried until there is one.
        await new Promise((resolve) => {
          wake = resolve;
          if (!isRefused) setTimeout(resolve, pause);
        });
        pause = Math.min(2 * pause, RETRY.most);
      }
    }
  }

  always();
  return () => wake();
}

/** One block of the stream. Null: it says nothing. */
export function parsed(block) {
  let kind = 'message';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) kind = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (!data) return null;
  try {
    return { ...JSON.parse(data), event: kind };
  } catch {
    return null;
  }
}
