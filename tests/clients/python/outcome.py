"""One line on standard output for each write: what became of it, its number, and the time in microseconds since 1970."""

import os
import sys
import time

# Seconds between two writes: 500 a second, unless the environment says otherwise.
PACE = float(os.environ.get("PACE", "0.002"))


def acknowledged(number):
    print(f"ok {number} {time.time_ns() // 1000}", flush=True)


def failed(number, error):
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"failed {number} {time.time_ns() // 1000} {reason}", flush=True)


def arguments():
    """The master's name and the addresses of the Sentinels, from `NAME HOST:PORT...`."""
    name, *addresses = sys.argv[1:]
    sentinels = [address.rsplit(":", 1) for address in addresses]
    return name, [(host, int(port)) for host, port in sentinels]


def key(number):
    """Applications that write to one master at once have prefixes of their own."""
    return f"{os.environ.get('KEY_PREFIX', 'written')}:{number}"
