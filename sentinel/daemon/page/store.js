// The state, and the one function that makes the next one out of it.

const EVENTS = 2_048;

export const initial = {
  /** connecting, live, lost, or refused (a token is wanted). */
  link: { state: 'connecting', since: Date.now(), text: '' },
  /** The Sentinel's clock less ours, in milliseconds. */
  skew: 0,
  /** When all was loaded last, by our clock. */
  loadedAt: 0,
  status: null,
  /** Masters by their names. */
  masters: new Map(),
  /** Problems by the names of masters; those of no master under ''. */
  problems: new Map(),
  /** What is known of the master that is looked at. */
  detail: null,
  /** The incident that is looked at. */
  incident: null,
  /** Settings of this Sentinel. */
  config: null,
  /** Oldest first. */
  events: [],
};

export function reduce(state, action) {
  switch (action.type) {
    case 'linked':
      if (state.link.state === action.state && state.link.text === action.text) return state;
      return { ...state, link: { state: action.state, since: Date.now(), text: action.text ?? '' } };
    case 'loaded':
      return {
        ...state,
        skew: action.skew,
        loadedAt: Date.now(),
        status: action.status,
        masters: new Map(action.masters.map((master) => [master.name, master])),
        problems: Map.groupBy(action.problems, (problem) => problem.master ?? ''),
      };
    case 'patched':
      return patched(state, action);
    case 'detail':
      return { ...state, detail: state.detail?.name === action.detail.name ? { ...state.detail, ...action.detail } : action.detail };
    case 'incident':
      return { ...state, incident: action.incident };
    case 'config':
      return { ...state, config: action.config };
    case 'events':
      return { ...state, events: [...state.events, ...action.events].slice(-EVENTS) };
    default:
      return state;
  }
}

/** Some masters are others now, or gone. */
function patched(state, { status, found, gone }) {
  const masters = new Map(state.masters);
  const problems = new Map(state.problems);
  let { detail } = state;
  for (const it of found) {
    const { name } = it.master;
    masters.set(name, it.master);
    problems.set(name, it.problems.filter((problem) => problem.master === name));
    problems.set('', it.problems.filter((problem) => !problem.master));
    if (detail?.name === name) detail = { ...detail, ...it };
  }
  for (const name of gone) {
    masters.delete(name);
    problems.delete(name);
    if (detail?.name === name) detail = { name, missing: true };
  }
  return { ...state, status: status ?? state.status, masters, problems, detail };
}

/** Holds the state. `changed` is called at most once a frame. */
export function store(changed) {
  let state = initial;
  let asked = false;
  const draw = () => {
    asked = false;
    changed(state);
  };
  return {
    get: () => state,
    dispatch(action) {
      const next = reduce(state, action);
      if (next === state) return;
      state = next;
      if (!asked) {
        asked = true;
        requestAnimationFrame(draw);
      }
    },
  };
}
