"""What is expensive to read and may be a little old: the more it cost, the longer it is held."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

_COST = 20.0
"""It is held for so many times as long as it took to read: reading it again and again takes 5 % of a processor."""
_MOST_S = 600.0
T = TypeVar("T")


class _Held(NamedTuple, Generic[T]):
    value: T
    revision: object
    until: float


class Held(Generic[T]):
    """Values by key. Thread-safe; two that ask for the same at once may both read it."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, _Held[T]] = OrderedDict()

    def of(self, key: Hashable, revision: object, read: Callable[[], T]) -> T:
        """What `read` gave for the key: of this revision, or of another a moment ago. Raises as `read`."""
        started = self._clock()
        with self._lock:
            held = self._held.get(key)
        if held is not None and (held.revision == revision or started < held.until):
            return held.value
        value = read()
        ended = self._clock()
        with self._lock:
            self._held[key] = _Held(value, revision, ended + min(_COST * (ended - started), _MOST_S))
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return value
