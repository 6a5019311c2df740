// A Sentinel that is made up: it speaks the same JSON of as many masters as one likes, and serves the files of the page.

import { readFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';

const FOLDER = new URL('../../sentinel/daemon/page/', import.meta.url);
const KINDS = { html: 'text/html; charset=utf-8', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const NONE = { critical: 0, warning: 0, info: 0 };
const id = (number) => number.toString(16).padStart(40, 'a7c3e19b');
const TEAMS = ['cart', 'catalogue', 'sessions', 'search', 'billing', 'feed', 'limits', 'jobs', 'profiles', 'stock'];

/** So many masters of which some are in trouble, always the same ones. `calm`: none of them is. */
export function fake({ masters: count = 3, calm = false } = {}) {
  const masters = new Map();
  const problems = new Map();
  const readers = new Set();
  let number = 0;
  const nameOf = (at) => (count <= TEAMS.length ? TEAMS[at] : `${TEAMS[at % TEAMS.length]}-${String(Math.floor(at / TEAMS.length) + 1).padStart(3, '0')}`);
  for (let at = 0; at < count; at += 1) {
    const name = nameOf(at);
    masters.set(name, {
      name, address: `10.${Math.floor(at / 250) % 250}.${at % 250}.11:6379`, status: 'ok', failover: null, config_epoch: 3 + (at % 9), quorum: 2, quorum_reachable: true,
      paused: false, replicas: 2, ok_replicas: 2, sentinels: 3, ok_sentinels: 3, last_failover: at % 3 ? null : Date.now() - 3_600_000 * (at + 1), problems: NONE,
    });
    problems.set(name, []);
  }
  const problem = (master, code, severity, text, remedy, more = {}) => ({ code, severity, scope: 'master', master, address: null, sentinel: null, age_ms: 184_000, problem: text, remedy, ...more });
  function change(name, part, found = []) {
    const counts = { ...NONE };
    for (const { severity } of found) counts[severity] += 1;
    masters.set(name, { ...masters.get(name), ...part, problems: counts });
    problems.set(name, found);
  }
  const down = (name) => change(name, { status: 'odown' }, [problem(name, 'master-down', 'critical', 'the master is objectively down: silent for 5,012 ms', `SENTINEL EXPLAIN ${name} says what keeps it from being replaced`)]);
  const lag = (name) => change(name, { ok_replicas: 1 }, [problem(name, 'replica-down', 'warning', 'the replica is down: connection refused', 'start it', { address: '10.0.0.13:6379' })]);
  const quorum = (name) => change(name, { quorum: 3, quorum_reachable: false, ok_sentinels: 2 }, [problem(name, 'quorum-lost', 'critical', 'no failover is possible: 2 of 3 Sentinels can agree, quorum 3 and majority 2 are needed', 'start the missing Sentinels')]);
  const pause = (name) => change(name, { paused: true }, [problem(name, 'paused', 'warning', 'an operator has paused failovers: moving racks', `SENTINEL RESUME ${name}`)]);
  if (!calm) {
    quorum(nameOf(0));
    if (count > 4) lag(nameOf(4));
    if (count > 100) {
      down(nameOf(17));
      pause(nameOf(23));
      change(nameOf(31), { status: 'odown', failover: 'wait_promotion' }, []);
      for (let at = 40; at < count; at += 97) lag(nameOf(at));
    }
  }

  const status = () => {
    const all = [...masters.values()];
    const sum = (key) => all.reduce((so, { problems: its }) => so + its[key], 0);
    return {
      id: id(0), run_id: id(9), version: '0.1.0', current_epoch: 41, masters: all.length, masters_well: all.filter((it) => it.status === 'ok' && it.problems.critical === 0).length,
      tilt_ms: null, save_error: null, problems: { critical: sum('critical'), warning: sum('warning'), info: sum('info') },
    };
  };
  const node = (address, more = {}) => ({ address, run_id: id(5), connected: true, sdown_ms: null, last_ok_ping_ms: 120, info_age_ms: 2_300, denied: null, ...more });
  function detail(name) {
    const master = masters.get(name);
    const host = master.address.replace(/\.11:6379$/, '');
    const lost = (is) => (is ? { sdown_ms: 184_000, last_ok_ping_ms: 189_000, connected: false } : {});
    const replicas = Array.from({ length: master.replicas }, (_, at) => ({
      ...node(`${host}.${12 + at}:6379`, lost(at >= master.ok_replicas)), link_up: at < master.ok_replicas, link_down_ms: at < master.ok_replicas ? null : 184_000,
      priority: 100, offset: 81_266_012 - at * 4_096, lag_bytes: at * 4_096, follows: master.address, refusal: null, promoted: false,
    }));
    const sentinels = Array.from({ length: master.sentinels - 1 }, (_, at) => ({
      id: id(at + 1), ...node(`10.9.0.${at + 2}:26379`, lost(at + 1 >= master.ok_sentinels)), master_down: master.status === 'odown', last_hello_ms: 900, voted_for: null, voted_epoch: null,
    }));
    return { master, node: node(master.address, master.status === 'odown' ? lost(true) : {}), replicas, sentinels, problems: problems.get(name) };
  }
  const consensus = (name) => {
    const { master, sentinels } = detail(name);
    const opinion = (sentinel, address, usable) => ({ sentinel, address, usable, master: master.address, config_epoch: master.config_epoch, current_epoch: 41, master_down: master.status === 'ok' ? 'no' : 'yes', voted_for: null, voted_epoch: null, last_hello_ms: 900 });
    return { opinions: [opinion(id(0), 'this Sentinel', 'yes'), ...sentinels.map((it) => opinion(it.id, it.address, it.sdown_ms === null ? 'yes' : 'no: it is down'))] };
  };
  const candidates = (name) => detail(name).replicas.map((it, at) => ({ address: it.address, rank: it.sdown_ms === null ? at + 1 : null, refused: it.sdown_ms === null ? null : 'it is subjectively down', class: 'linked', priority: 100, offset: it.offset }));

  function json(path) {
    if (path === '/v1/status') return status();
    if (path === '/v1/masters') return [...masters.values()];
    if (path === '/v1/problems') return [...problems.values()].flat();
    if (path === '/v1/config') return { 'http.listen': '10.9.0.1:26380', 'http.token': '******' };
    const [, , , coded, kind, ...rest] = path.split('/');
    const name = decodeURIComponent(coded ?? '');
    if (!masters.has(name) || rest.length) return null;
    const all = {
      consensus, candidates, settings: () => ({ quorum: 2, 'down-after': 5_000, 'failover-timeout': 60_000, 'auth-pass': '******' }), history: () => [],
      explain: () => ({ sentences: [`The master of ${name} is ${masters.get(name).address}, of configuration epoch 3; it is well`, 'If the master died now, 10.0.0.12:6379 would be promoted, 5000 ms after its last answer, by a Sentinel with 2 votes'] }),
    };
    return kind ? all[kind]?.(name) ?? null : detail(name);
  }

  const server = createServer((request, answer) => {
    const { pathname } = new URL(request.url, 'http://fake');
    if (pathname === '/v1/events') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      answer.write('retry: 1000\n: made up\n\n');
      readers.add(answer);
      request.on('close', () => readers.delete(answer));
      return;
    }
    if (pathname.startsWith('/v1/')) {
      const body = json(pathname);
      answer.writeHead(body === null ? 404 : 200, { 'content-type': 'application/json' });
      answer.end(JSON.stringify(body ?? { error: 'nothing' }));
      return;
    }
    const file = new URL(pathname === '/' ? 'index.html' : pathname.replace(/^\/page\//, ''), FOLDER);
    if (!file.href.startsWith(FOLDER.href) || !existsSync(file)) {
      answer.writeHead(404).end();
      return;
    }
    answer.writeHead(200, { 'content-type': KINDS[file.pathname.split('.').pop()], 'content-security-policy': POLICY });
    answer.end(readFileSync(file));
  });

  return {
    masters, nameOf, down, lag, quorum, pause, change,
    async start() {
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${server.address().port}`;
    },
    /** Tells an event about a master. */
    tell(event, master) {
      number += 1;
      const data = { id: `fake-${number}`, time: Date.now(), event, level: 'warning', master, payload: `master ${master} 10.0.0.1 6379`, cause: null, problem: null };
      for (const reader of readers) reader.write(`event: ${event}\nid: ${data.id}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
