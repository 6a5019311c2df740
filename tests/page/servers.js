// Real servers for the page: a master with replicas and some Sentinels, in a folder of their own, on ports that are free.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SENTINEL = process.env.SENTINEL_BIN;
const SERVER = process.env.REDIS_SERVER ?? 'redis-server';
/** A generous bound for everything that is waited for. */
export const SOON = 30_000;

/** Waits until `check` gives something that is true; says what it gave last when it does not. */
export async function eventually(what, check, within = SOON) {
  const end = Date.now() + within;
  let last;
  do {
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${within} ms; at last ${last}`);
}

const given = new Set();

/** A port of this machine that nobody listens on. */
async function freePort() {
  const port = await new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port: found } = server.address();
      server.close(() => resolve(found));
    });
  });
  if (given.has(port)) return freePort();
  given.add(port);
  return port;
}

/** Sends one command, and gives the answer as it came. */
export function command(port, ...words) {
  return new Promise((resolve, reject) => {
    const text = `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}

/** One process that can be killed, stopped and started again. */
class Process {
  constructor(port, program, args, folder) {
    Object.assign(this, { port, program, args, folder, child: null });
  }

  async start() {
    this.child = spawn(this.program, this.args, { cwd: this.folder, stdio: process.env.LOGS ? 'inherit' : 'ignore' });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.once('error', (error) => console.error(`${this.program}: ${error.message}`));
    await eventually(`${this.program} at ${this.port} answers`, async () => (await command(this.port, 'PING')).startsWith('+PONG'));
  }

  async kill(signal = 'SIGKILL') {
    this.child?.kill(signal);
    await this.ended;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }
}

/** Master `name`, `replicas` of them, `sentinels` with this quorum; each Sentinel has `lines` more in its configuration. */
export async function deployment({ name = 'shop', replicas = 2, sentinels = 3, quorum = 2, lines = [] } = {}) {
  if (!SENTINEL) throw new Error('SENTINEL_BIN must name the program');
  const folder = mkdtempSync(join(tmpdir(), 'sentinel-page-'));
  const all = [];
  const node = async (...more) => {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, '--dbfilename', `${port}.rdb`, '--repl-diskless-sync-delay', '0', ...more];
    const it = new Process(port, SERVER, args, folder);
    all.push(it);
    await it.start();
    return it;
  };
  const stop = async () => {
    await Promise.all(all.map((it) => it.kill()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const master = await node();
    const copies = [];
    for (let at = 0; at < replicas; at += 1) copies.push(await node('--replicaof', `127.0.0.1 ${master.port}`));
    const watchers = [];
    for (let at = 0; at < sentinels; at += 1) {
      const [port, http] = [await freePort(), await freePort()];
      const file = join(folder, `sentinel-${port}.conf`);
      const text = [
        `port ${port}`, 'bind 127.0.0.1', `http-listen 127.0.0.1:${http}`, `dir ${folder}`,
        `sentinel monitor ${name} 127.0.0.1 ${master.port} ${quorum}`,
        `sentinel down-after-milliseconds ${name} 1000`, `sentinel failover-timeout ${name} 5000`, ...lines,
      ];
      writeFileSync(file, `${text.join('\n')}\n`);
      const it = new Process(port, SENTINEL, [file], folder);
      it.url = `http://127.0.0.1:${http}`;
      all.push(it);
      watchers.push(it);
      await it.start();
    }
    return { name, master, replicas: copies, sentinels: watchers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until a Sentinel knows all of it. `headers` carry a token where one is set. */
export async function settled({ name, replicas, sentinels }, headers = {}) {
  const of = async (path) => (await fetch(`${sentinels[0].url}/v1/masters/${name}${path}`, { headers })).json();
  await eventually('all is known', async () => {
    const { master, replicas: copies } = await of('');
    const isWhole = master.ok_replicas === replicas.length && master.ok_sentinels === sentinels.length && master.quorum_reachable;
    const candidates = isWhole ? await of('/candidates') : [];
    return isWhole && copies.every((copy) => copy.link_up) && candidates.filter(({ rank }) => rank).length === replicas.length;
  });
}
