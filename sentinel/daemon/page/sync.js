// Keeps the state in step with the Sentinel: all of it at first, then each master that an event names.

import { Missing, Refused, ask, pathOf } from './wire.js';
import { follow } from './stream.js';

/** Masters that events name are asked for together, so often at most. */
const PATCH_EVERY = 250;
/** Where more have changed, all are asked for. */
const ONE_BY_ONE = 24;
/** All are asked for so often at most. */
const ALL_EVERY = 2_000;
/** And at least so often: not every number is worth an event. */
const ANEW = 60_000;
/** What is looked at is asked for so often. */
const LOOK = 2_000;
/** So many requests are under way at the same time. */
const AT_ONCE = 4;

/** What says nothing about the state of a master. */
const IDLE = new Set(['+new-epoch', '+vote-for-leader', '+notice']);

export function sync({ dispatch, get }) {
  const changed = new Set();
  let everything = true;
  let working = false;
  let timer = 0;
  let allAt = -ALL_EVERY;
  let route = { page: 'overview' };

  const failed = (error) => {
    if (error instanceof Refused) dispatch({ type: 'linked', state: 'refused', text: error.message });
  };

  async function all() {
    allAt = performance.now();
    const [status, masters, problems] = await Promise.all(['v1/status', 'v1/masters', 'v1/problems'].map(ask));
    dispatch({ type: 'loaded', status: status.body, masters: masters.body, problems: problems.body, skew: status.skew });
  }

  async function some(names) {
    const status = ask('v1/status');
    const found = [];
    const gone = [];
    await bounded(names, async (name) => {
      try {
        found.push((await ask(pathOf(name))).body);
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        gone.push(name);
      }
    });
    dispatch({ type: 'patched', status: (await status).body, found, gone });
  }

  async function work() {
    // What is lost or refused is loaded anew when it is back.
    if (working || ['lost', 'refused'].includes(get().link.state)) return;
    if (everything && performance.now() - allAt < ALL_EVERY) {
      plan(ALL_EVERY);
      return;
    }
    working = true;
    const names = [...changed];
    const isAll = everything || names.length > ONE_BY_ONE;
    changed.clear();
    everything = false;
    try {
      await (isAll ? all() : some(names));
    } catch (error) {
      failed(error);
      everything = true;
    }
    working = false;
    if (everything || changed.size) plan(everything ? ALL_EVERY : PATCH_EVERY);
  }

  function plan(delay) {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      work();
    }, delay);
  }

  /** Takes in events. Those that were kept before the state was loaded say nothing new. */
  function took(events) {
    dispatch({ type: 'events', events });
    const { loadedAt, skew } = get();
    for (const { event, master, time } of events) {
      if (event === 'gap') {
        everything ||= loadedAt > 0 && loadedAt < Date.now() - ALL_EVERY;
      } else if (!IDLE.has(event) && loadedAt && time > loadedAt + skew - 2_000) {
        if (master) changed.add(master);
        else everything = true;
      }
    }
    if (changed.size > ONE_BY_ONE) everything = true;
    if (everything || changed.size) plan(PATCH_EVERY);
  }

  async function look() {
    if (document.hidden || get().link.state === 'refused') return;
    try {
      await seen(route, { dispatch, get });
    } catch (error) {
      failed(error);
    }
  }

  const retry = follow({
    opened() {
      const wasLost = get().link.state !== 'connecting';
      dispatch({ type: 'linked', state: 'live' });
      if (wasLost) {
        everything = true;
        allAt = -ALL_EVERY;
        work();
        look();
      }
    },
    events: took,
    lost: (error) => dispatch({ type: 'linked', state: 'lost', text: String(error?.message ?? error) }),
    refused: (text) => dispatch({ type: 'linked', state: 'refused', text }),
  });

  work();
  setInterval(() => {
    if (document.hidden || get().link.state !== 'live') return;
    everything = true;
    plan(0);
  }, ANEW);
  setInterval(() => get().link.state === 'live' && look(), LOOK);
  for (const event of ['online', 'pageshow']) addEventListener(event, retry);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    retry();
    look();
  });

  return {
    /** Tries again, with the token that there is now. */
    retry() {
      dispatch({ type: 'linked', state: 'connecting' });
      everything = true;
      allAt = -ALL_EVERY;
      work();
      look();
      retry();
    },
    /** Something else is looked at. */
    goTo(next) {
      route = next;
      look();
    },
  };
}

/** Asks for what one place of the page shows besides the state. */
async function seen(route, { dispatch, get }) {
  const { page, master, id } = route;
  const optional = (path) => ask(path).then(({ body }) => body, () => null);
  if (page === 'master') {
    const names = ['consensus', 'candidates', 'explain', 'settings', 'history'];
    try {
      const [whole, ...rest] = await Promise.all([
        ask(pathOf(master)),
        ...names.map((name) => optional(pathOf(master, name))),
      ]);
      const parts = Object.fromEntries(names.map((name, at) => [name, rest[at]]));
      dispatch({ type: 'detail', detail: { ...whole.body, ...parts, name: master, missing: false, at: Date.now() } });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      const history = await optional(pathOf(master, 'history'));
      dispatch({ type: 'detail', detail: { name: master, missing: true, history } });
    }
  } else if (page === 'incident' && !(get().incident?.master === master && get().incident?.id === id)) {
    try {
      const { body } = await ask(pathOf(master, 'history', id));
      dispatch({ type: 'incident', incident: { ...body, master, id } });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      dispatch({ type: 'incident', incident: { master, id, missing: true } });
    }
  } else if (page === 'sentinel') {
    const [status, config] = await Promise.all([ask('v1/status'), ask('v1/config')]);
    dispatch({ type: 'patched', status: status.body, found: [], gone: [] });
    dispatch({ type: 'config', config: config.body });
  }
}

/** Does something with each, some at a time. */
async function bounded(items, act) {
  const rest = [...items];
  const worker = async () => {
    while (rest.length) await act(rest.pop());
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rest.length) }, worker));
}
