"""An application that writes a value each five milliseconds to the master that the Sentinels name.

usage: writer.py RECORD MASTER SENTINELS     passwords in SENTINEL_PASSWORD and NODE_PASSWORD
       writer.py RECORD --through FILE       to a proxy: FILE holds the addresses of those that are ready, as a Service does

RECORD gets a line for each confirmed write, number and moment (CLOCK_MONOTONIC), and `#` lines for what was refused.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from resp import Connection, Refused

PERIOD = 0.005


def find(sentinels, master):
    """A connection to the master: its address is asked of each Sentinel in turn, its role of itself."""
    for address in sentinels:
        host, port = address.rsplit(":", 1)
        try:
            sentinel = Connection(host, int(port), os.environ.get("SENTINEL_PASSWORD"), timeout=0.3)
            place = sentinel.say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)
            sentinel.close()
            if place is None:
                continue
            node = Connection(place[0], int(place[1]), os.environ.get("NODE_PASSWORD"), timeout=0.5)
            if node.say("ROLE")[0] == "master":
                return node, ":".join(place)
            node.close()
        except (OSError, ValueError, Refused):
            continue
    return None, None


def through(file):
    """A connection through one of the proxies."""
    places = Path(file).read_text().split()
    random.shuffle(places)
    for place in places:
        try:
            return Connection(place, 6379, os.environ.get("NODE_PASSWORD"), timeout=1), place
        except (OSError, ValueError, Refused):
            continue
    return None, None


def main():
    record, running = sys.argv[1], True
    proxied = sys.argv[2] == "--through"
    # Two writers have numbers of their own.
    key = "proxied" if proxied else "written"

    def leave(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, leave)
    node, number, at = None, 0, time.monotonic()
    with open(record, "w", buffering=1) as out:
        while running:
            if node is None:
                node, place = through(sys.argv[3]) if proxied else find(sys.argv[3].split(","), sys.argv[2])
                if node is None:
                    time.sleep(PERIOD)
                    continue
                out.write(f"# {time.monotonic():.6f} writes to {place}\n")
            try:
                node.say("SET", f"{key}:{number}", number)
                out.write(f"{number} {time.monotonic():.6f}\n")
            except (OSError, Refused) as error:
                out.write(f"# {time.monotonic():.6f} {number}: {error}\n")
                node.close()
                node = None
            number += 1
            at = max(at + PERIOD, time.monotonic() - PERIOD)
            time.sleep(max(0.0, at - time.monotonic()))


if __name__ == "__main__":
    main()
