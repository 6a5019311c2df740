"""An application that writes a value each five milliseconds to the master that the Sentinels name.

usage: writer.py RECORD MASTER SENTINELS     passwords in SENTINEL_PASSWORD and NODE_PASSWORD

RECORD gets a line for each confirmed write, number and moment (CLOCK_MONOTONIC), and `#` lines for what was refused.
"""

import os
import signal
import sys
import time

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


def main():
    record, master, sentinels = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
    running = True

    def leave(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, leave)
    node, number, at = None, 0, time.monotonic()
    with open(record, "w", buffering=1) as out:
        while running:
            if node is None:
                node, place = find(sentinels, master)
                if node is None:
                    time.sleep(PERIOD)
                    continue
                out.write(f"# {time.monotonic():.6f} writes to {place}\n")
            try:
                node.say("SET", f"written:{number}", number)
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
