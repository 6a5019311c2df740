"""Restarts every pod of the plain manifests in turn, as a StatefulSet does, each with another address, while one application
writes to the master that the Sentinels name and another one through the proxy. It is run by scripts/test-rolling-restart, inside namespaces that end with it.

Nothing that was confirmed may be lost, the gaps between confirmed writes must sum up to less than a second, and at the end all
Sentinels must name the same master, under its new address, and know each other and both replicas.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from names import NameServer
from pods import BRIDGE, HERE, Cluster, ip
from resp import Connection, fields

MASTER = "mymaster"
PASSWORDS = {"redis-password": "a \"quoted\" password", "sentinel-password": "among-sentinels"}
# Five periods of the writer: what is shorter is the scheduler's.
GAP = 0.025


def say(text):
    print(f"{time.monotonic() - BEGAN:8.2f} s  {text}", flush=True)


def wait_for(what, condition, seconds):
    began = time.monotonic()
    deadline, told, before = began + seconds, None, None
    while True:
        told = condition()
        if not told:
            return
        # What takes long is told while it lasts.
        if time.monotonic() > began + 10 and told != before:
            say(f"not yet: {what}: {told}")
            before = told
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s: {told}")
        time.sleep(0.1)


def ask(pod, *words):
    sentinel = Connection(pod.address, 26379, PASSWORDS["sentinel-password"], timeout=2)
    try:
        return sentinel.say("SENTINEL", *words)
    finally:
        sentinel.close()


def wrong(sentinels, nodes):
    """What a Sentinel believes that is not so; empty where all is well."""
    found, named = [], set()
    hosts = {node.host: node for node in nodes}
    for pod in sentinels:
        try:
            master = fields(ask(pod, "MASTER", MASTER))
            replicas = [fields(flat) for flat in ask(pod, "REPLICAS", MASTER)]
            peers = [fields(flat) for flat in ask(pod, "SENTINELS", MASTER)]
            told = ask(pod, "CKQUORUM", MASTER)
        except Exception as error:  # noqa: BLE001 whatever it is, it is told
            found.append(f"{pod.name}: {error}")
            continue
        named.add(master["ip"])
        if master["flags"] != "master":
            found.append(f"{pod.name}: the master is {master['flags']}")
        if master["ip"] not in hosts:
            found.append(f"{pod.name}: the master is at {master['ip']}")
        for what, known, wanted in ("replica", replicas, {n.host for n in nodes} - {master["ip"]}), (
            "Sentinel", peers, {s.host for s in sentinels if s is not pod},
        ):
            if (names := sorted(one["ip"] for one in known)) != sorted(wanted):
                found.append(f"{pod.name}: {what}s are {names}")
            for one in known:
                if one["flags"] not in ("slave", "sentinel"):
                    found.append(f"{pod.name}: {what} {one['ip']} is {one['flags']}")
                if one.get("master-link-status", "ok") != "ok":
                    found.append(f"{pod.name}: the link of {one['ip']} is {one['master-link-status']}")
        if not told.startswith("OK 3 usable"):
            found.append(f"{pod.name}: ckquorum: {told}")
    if len(named) > 1:
        found.append(f"masters: {named}")
    return found


def restart(pods, min_ready=None):
    """One after another, the highest first, the next one once the one before is ready for long enough."""
    for pod in reversed(pods):
        before = pod.address
        say(f"{pod.name} is stopped")
        told = pod.stop()
        say(f"{pod.name}: {told}")
        pod.start()
        wait_for(f"{pod.name} is ready", lambda pod=pod: None if pod.is_ready() else "it is not", 120)
        say(f"{pod.name} is ready; its address was {before} and is {pod.address}")
        time.sleep(pod.min_ready_seconds if min_ready is None else min_ready)
        assert pod.is_alive(), f"{pod.name} has ended: see {pod.log}"


def replace(pods, endpoints):
    """As a Deployment with maxSurge 1 does: a new pod first, then an old one is stopped."""
    for at, pod in enumerate(pods):
        fresh = pod.successor()
        fresh.start()
        wait_for(f"{fresh.name} is ready", lambda fresh=fresh: None if fresh.is_ready() else "it is not", 120)
        pods[at] = fresh
        route(pods, endpoints)
        say(f"{fresh.name} is ready at {fresh.address}, {pod.name} is stopped")
        say(f"{pod.name}: {pod.stop()}")


def route(pods, endpoints):
    """What a Service sends its clients to."""
    fresh = endpoints.with_suffix(".new")
    fresh.write_text(" ".join(pod.address for pod in pods))
    fresh.replace(endpoints)


def restart_together(*sets, min_ready=None):
    """All StatefulSets at the same time, as when a new version of the image is rolled out everywhere."""
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(restart, pods, min_ready) for pods in sets]:
            done.result()


def lose_all(pods):
    """Every pod is killed at once, as with its machine, and comes back with another address."""
    for pod in pods:
        pod.kill()
    say("all pods are killed")
    for pod in pods:
        pod.start()
    for pod in pods:
        wait_for(f"{pod.name} is ready", lambda pod=pod: None if pod.is_ready() else "it is not", 180)
    say("all pods are ready again")


def report(what, record, outage):
    """The moment of each confirmed number, the sum of the gaps between them but for those of the outage, and the longest time between two."""
    confirmed, gaps, last, notes, longest = {}, [], None, [], 0.0
    for line in record.read_text().splitlines():
        if line.startswith("#"):
            notes.append(line)
            continue
        number, moment = line.split()
        moment = float(moment)
        confirmed[int(number)] = moment
        if last is not None:
            counts = outage is None or not outage[0] < moment < outage[1]
            if counts:
                longest = max(longest, moment - last)
            if moment - last > GAP:
                gaps.append((last - BEGAN, moment - last, counts))
        last = moment
    for line in notes:
        _, moment, text = line.split(" ", 2)
        say(f"{what} at {float(moment) - BEGAN:.2f} s: {text}")
    for at, length, counts in gaps:
        say(f"{what}: gap at {at:.2f} s: {length * 1000:.0f} ms{'' if counts else ' (all pods were killed)'}")
    return confirmed, sum(length for _, length, counts in gaps if counts), longest


def lost(node, key, confirmed):
    """Confirmed numbers that the master does not have."""
    master = Connection(node.address, 6379, PASSWORDS["redis-password"], timeout=5)
    missing = []
    for at in range(0, len(confirmed), 500):
        some = confirmed[at : at + 500]
        answers = master.say_all([("GET", f"{key}:{number}") for number in some])
        missing += [number for number, answer in zip(some, answers) if answer != str(number)]
    return missing


def lay(folder, kept):
    ip("link", "set", "lo", "up")
    # Without an address of its own a bridge takes that of one of its ports, another one when that is gone, and packets are lost.
    ip("link", "add", "hub", "address", "02:00:00:00:00:01", "type", "bridge")
    ip("link", "set", "hub", "up")
    ip("addr", "add", f"{BRIDGE}/24", "dev", "hub")
    resolver = folder / "resolv.conf"
    resolver.write_text(
        f"nameserver {BRIDGE}\nsearch redis.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    # /usr of this machine with our program in it.
    (folder / "own/bin").mkdir(parents=True)
    subprocess.run(["cp", os.environ["SENTINEL_BIN"], folder / "own/bin/sentinel"], check=True)
    (folder / "usr").mkdir()
    subprocess.run(
        ["mount", "-t", "overlay", "-o", f"ro,lowerdir={folder}/own:/usr", "overlay", folder / "usr"], check=True
    )
    return NameServer(BRIDGE, kept)


def declared(tls):
    """The plain manifests; for TLS what the chart renders."""
    root = HERE.parent.parent
    if tls:
        helm = [root / "target/kubernetes/helm3", "template", "sentinel", root / "packaging/chart", "--namespace", "redis"]
        helm += ["--values", HERE / "values/tls.yaml"]
        texts = [subprocess.run(helm, check=True, capture_output=True, text=True).stdout]
    else:
        texts = [path.read_text() for path in sorted((root / "packaging/kubernetes").glob("*.yaml"))]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kept-names", type=float, default=5.0, help="seconds that a name server's answer is kept")
    parser.add_argument("--min-ready", type=float, help="instead of minReadySeconds of the manifests")
    parser.add_argument("--together", action="store_true", help="Sentinels and data nodes at the same time")
    parser.add_argument("--lose-all", action="store_true", help="afterwards all pods are killed at once; that gap is not counted")
    parser.add_argument("--tls", action="store_true", help="with TLS everywhere, as tests/kubernetes/values/tls.yaml has it")
    options = parser.parse_args()

    names = lay(options.folder, options.kept_names)
    secrets = {"passwords": PASSWORDS}
    if options.tls:
        folder = options.folder / "certificates"
        folder.mkdir()
        subprocess.run([HERE / "certificates", folder], check=True)
        secrets["certificates"] = {file.name: file.read_text() for file in folder.iterdir()}
        os.environ["TLS_DIR"] = str(folder)
    documents = declared(options.tls)
    server = os.environ["REDIS_SERVER"]
    environment = {"SERVER": server, "CLI": os.environ["REDIS_CLI"]}
    cluster = Cluster(options.folder, documents, secrets, names, options.folder / "usr", environment)
    sentinels, nodes = cluster.pods("StatefulSet", "sentinel"), cluster.pods("StatefulSet", "sentinel-redis")
    known = subprocess.run([os.environ["SENTINEL_BIN"], "proxy", "--help"], capture_output=True).returncode == 0
    proxies = cluster.pods("Deployment", "sentinel-master") if known else []

    say("all pods are started at once")
    for pod in (*nodes, *sentinels, *proxies):
        pod.start()
    for pod in (*nodes, *sentinels, *proxies):
        wait_for(f"{pod.name} is ready", lambda pod=pod: None if pod.is_ready() else "it is not", 120)
    say("all pods are ready")
    wait_for("all is well", lambda: wrong(sentinels, nodes), 60)
    say("all Sentinels know each other and both replicas")

    endpoints = options.folder / "endpoints"
    route(proxies, endpoints)
    applications = {"written": [MASTER, ",".join(f"{pod.host}:26379" for pod in sentinels)]}
    if proxies:
        applications["proxied"] = ["--through", str(endpoints)]
    else:
        print("NOT RUN: an application that writes through the proxy: this binary does not know `sentinel proxy` yet")
    passwords = {"SENTINEL_PASSWORD": PASSWORDS["sentinel-password"], "NODE_PASSWORD": PASSWORDS["redis-password"]}
    writers = [
        subprocess.Popen([sys.executable, str(HERE / "writer.py"), str(options.folder / name), *words], env=os.environ | passwords)
        for name, words in applications.items()
    ]
    failures, outage = [], None
    try:
        # What the machine itself makes of the writer, for comparison.
        time.sleep(5)
        for _ in range(options.rounds):
            if options.together:
                restart_together(sentinels, nodes, min_ready=options.min_ready)
            else:
                restart(sentinels, options.min_ready)
                restart(nodes, options.min_ready)
            replace(proxies, endpoints)
        wait_for("all is well again", lambda: wrong(sentinels, nodes), 60)
        say("all is well again")
        if options.lose_all:
            began = time.monotonic()
            lose_all([*sentinels, *nodes, *proxies])
            route(proxies, endpoints)
            wait_for("all is well again", lambda: wrong(sentinels, nodes), 120)
            say("all is well again")
            outage = (began, time.monotonic())
        time.sleep(2)
    except AssertionError as error:
        failures.append(str(error))
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGTERM)
        for writer in writers:
            writer.wait()

    # As with `kubectl exec`, with the environment of the container.
    words = ["sentinel", "ckquorum", MASTER]
    if options.tls:
        words += ["--tls", "--cacert", "/etc/sentinel-tls/ca.crt", "--cert", "/etc/sentinel-tls/tls.crt"]
        words += ["--key", "/etc/sentinel-tls/tls.key"]
    for pod in sentinels:
        if (status := pod.execute(words, 10)) != 0:
            failures.append(f"{pod.name}: {' '.join(words)} ends with {status}")
    host = ask(sentinels[0], "GET-MASTER-ADDR-BY-NAME", MASTER)[0]
    node = next((node for node in nodes if node.host == host), None)
    if node is None:
        failures.append(f"the master is {host}, which is none of the pods")
    elif socket.gethostbyname(host) != node.address:
        failures.append(f"{host} has another address than its pod")
    for key in applications:
        confirmed, total, longest = report(key, options.folder / key, outage)
        missing = lost(node, key, list(confirmed)) if node else list(confirmed)
        if outage:
            # What a master confirms and has not sent on yet goes with it: replication does not wait.
            late = [number for number in missing if outage[0] - 1 < confirmed[number] < outage[1]]
            missing = [number for number in missing if number not in late]
            print(f"{key}: {len(late)} confirmed writes of the last second before all pods were killed are lost")
        if missing:
            failures.append(f"{key}: {len(missing)} confirmed writes are lost, the first is {missing[0]}")
        if total >= 1.0:
            failures.append(f"{key}: the gaps sum up to {total * 1000:.0f} ms")
        if len(confirmed) < 1000:
            failures.append(f"{key}: hardly anything was written")
        how = "through the proxy" if key == "proxied" else "to the master that the Sentinels name"
        print(f"{how}: {len(confirmed)} confirmed writes, {len(missing)} lost; gaps over {GAP * 1000:.0f} ms sum up to "
              f"{total * 1000:.0f} ms, the longest time between two was {longest * 1000:.0f} ms")
    stopped = options.rounds * len([*sentinels, *nodes, *proxies])
    print(f"{stopped} pods were restarted with another address")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{0 if failures else 1} passed, {len(failures)} failed" + ("" if proxies else ", 1 skipped"))
    return 1 if failures else 0 if proxies else 3


BEGAN = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
