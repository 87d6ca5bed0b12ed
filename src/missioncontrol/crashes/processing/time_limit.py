"""An end to what takes too long, a regular expression that tries everything above all.

By a timer of the system: such an expression lets no other thread run, but looks for signals. So it works in the main
thread alone, which is where workers process; elsewhere there is no limit. The time is that of the processor, so a busy
machine ends nothing early; what waits is not ended.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHORTEST_S = 0.01


class TookTooLong(BaseException):
    """The time is over. No `Exception`, so that nobody takes it for one of their own."""


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise `TookTooLong` in the block when this thread has worked for longer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    began_s = time.thread_time()

    def end(number: int, frame: FrameType | None) -> None:
        left_s = limit_s - (time.thread_time() - began_s)
        if left_s > 0:  # the timer is the process's, and other threads worked too
            signal.setitimer(signal.ITIMER_VIRTUAL, max(left_s, _SHORTEST_S))
            return
        # Again after as long: what is raised where Python cleans up is ignored, and nothing would end the block.
        signal.setitimer(signal.ITIMER_VIRTUAL, max(limit_s, _SHORTEST_S))
        raise TookTooLong

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
