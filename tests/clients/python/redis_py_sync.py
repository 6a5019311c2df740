"""redis-py, blocking: `master_for` as its documentation shows it, with deadlines."""

import time

from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from outcome import PACE, acknowledged, arguments, failed, key

name, sentinels = arguments()
master = Sentinel(sentinels, socket_timeout=0.5).master_for(name, socket_timeout=0.5)
number = 0
while True:
    began = time.monotonic()
    try:
        master.set(key(number), number)
        acknowledged(number)
    except RedisError as error:
        failed(number, error)
    # A number whose outcome is unknown is never used again.
    number += 1
    time.sleep(max(0.0, began + PACE - time.monotonic()))
