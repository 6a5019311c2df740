"""redis-py on asyncio: `master_for` as its documentation shows it, with deadlines."""

import asyncio
import time

from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from outcome import PACE, acknowledged, arguments, failed, key


async def main():
    name, sentinels = arguments()
    master = Sentinel(sentinels, socket_timeout=0.5).master_for(name, socket_timeout=0.5)
    number = 0
    while True:
        began = time.monotonic()
        try:
            await master.set(key(number), number)
            acknowledged(number)
        except RedisError as error:
            failed(number, error)
        # A number whose outcome is unknown is never used again.
        number += 1
        await asyncio.sleep(max(0.0, began + PACE - time.monotonic()))


asyncio.run(main())
