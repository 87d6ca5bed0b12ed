"""A process that appends until it is killed or done: `log_child.py BACKEND PLACE PREFIX COUNT [--trim]`.

Prints one line for each acknowledged entry: offset, document id, whether it was a duplicate (0, 1, or - where the log
does not say).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from log_backends import body_of, open_log, ping

from missioncontrol.log.protocol import Appended

APPENDERS = 8


async def append_all(backend: str, place: str, prefix: str, count: int, trim: bool) -> None:
    log = open_log(backend, Path(place))
    numbers = iter(range(count)) if count else itertools.count()

    async def appender() -> None:
        for number in numbers:
            id_ = f"{prefix}-{number}"
            appended = await log.append(ping(id_, body_of(id_)))
            os.write(1, f"{appended.offset} {id_} {flag(appended)}\n".encode())
            if trim and number % 20 == 0:
                await asyncio.to_thread(log.trim, appended.offset - 100)

    await asyncio.gather(*(appender() for _ in range(APPENDERS)))
    log.close()


def flag(appended: Appended) -> str:
    return "-" if appended.duplicate is None else str(int(appended.duplicate))


if __name__ == "__main__":
    backend, place, prefix, count = sys.argv[1:5]
    asyncio.run(append_all(backend, place, prefix, int(count), "--trim" in sys.argv))
