// Requests to the Sentinel that has served this page, and the token that they carry.

const KEY = 'sentinel-token';

/** The Sentinel wants a token, or another one. */
export class Refused extends Error {}

/** There is nothing at this path (any more). */
export class Missing extends Error {}

/** The token that was typed in, until the tab is closed. */
export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Sends a GET. Throws where the answer is not a success. */
export async function request(path, { headers = {}, signal } = {}) {
  const given = token.get();
  const authorization = given === null ? {} : { Authorization: `Bearer ${given}` };
  const answer = await fetch(path, {
    headers: { ...headers, ...authorization },
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
    signal,
  });
  if (answer.ok) return answer;
  const told = await answer.json().then((body) => body.error, () => '');
  const text = told || `the answer was ${answer.status}`;
  if (answer.status === 401) throw new Refused(text);
  if (answer.status === 404) throw new Missing(text);
  throw new Error(text);
}

/** What a path answers, and the Sentinel's clock less ours in milliseconds, to a second. */
export async function ask(path) {
  const answer = await request(path, { signal: AbortSignal.timeout(10_000) });
  const date = Date.parse(answer.headers.get('date') ?? '');
  const behind = Number.isNaN(date) ? 0 : date - Date.now();
  return { body: await answer.json(), skew: Math.abs(behind) < 2_000 ? 0 : behind };
}

/** The path of a master, and of something below it. */
export function pathOf(master, ...rest) {
  return ['v1/masters', master, ...rest].map((part, at) => (at ? encodeURIComponent(part) : part)).join('/');
}
