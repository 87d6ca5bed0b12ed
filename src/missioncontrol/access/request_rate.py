"""How often a client may ask: a bucket that fills at a steady rate and holds some seconds' worth."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable

from missioncontrol.errors import TooMany

_MOST_CLIENTS = 10_000


class RequestRate:
    """The buckets of one server process, kept in memory and bounded. Thread-safe."""

    def __init__(self, per_s: float, monotonic_s: Callable[[], float], burst_s: float = 10.0) -> None:
        """`per_s` requests a second and client, 0: any number; those of `burst_s` may come at once."""
        self._per_s = per_s
        self._burst_s = burst_s
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request; raises `TooMany` (`too_many_requests`)."""
        if not self._per_s:
            return
        with self._lock:
            now_s = self._now_s()
            # An empty bucket is full in `burst_s`; each request moves that moment away.
            full_at_s = max(self._full_at_s.pop(client, now_s), now_s) + 1.0 / self._per_s
            if full_at_s - now_s > max(self._burst_s, 1.0 / self._per_s):
                self._full_at_s[client] = full_at_s - 1.0 / self._per_s
                wait_s = max(1, math.ceil(full_at_s - now_s - self._burst_s))
                hint = f"Up to {self._per_s:g} requests a second are answered; go on in {wait_s} s."
                raise TooMany("too_many_requests", "Too many requests of one client.", hint, wait_s)
            self._full_at_s[client] = full_at_s
            while len(self._full_at_s) > _MOST_CLIENTS:
                self._full_at_s.popitem(last=False)
