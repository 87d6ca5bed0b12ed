"""Wrong tries to sign in, by address and by user name: after a few, each further one makes the wait twice as long.

Kept in memory and bounded. A try counts as wrong when it begins and is taken back when it was right, so that many
at once gain nothing. A user name waits a minute at most: nobody can lock others out for long by trying theirs.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from missioncontrol.errors import TooMany

FREE_TRIES = 10
_FORGOTTEN_AFTER_S = 3600.0
_LONGEST_WAIT_S = {"address": 900.0, "user": 60.0}
_MOST_KEYS = 20_000
_Key = tuple[str, str]


class _Tries(msgspec.Struct):
    count: int = 0
    last_s: float = 0.0


class LoginThrottle:
    """The tries of one server process. Thread-safe."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._tries: OrderedDict[_Key, _Tries] = OrderedDict()

    def begin(self, address: str, user: str) -> None:
        """Count a try; raises `TooMany` (`too_many_tries`) when it comes before the wait is over."""
        keys = _keys(address, user)
        with self._lock:
            now_s = self._now_s()
            wait_s = max(self._wait_s(key, now_s) for key in keys)
            if wait_s > 0:
                seconds = math.ceil(wait_s)
                hint = (
                    f"Try again in {seconds} seconds. `missioncontrol user password` sets another password."
                )
                raise TooMany("too_many_tries", "Too many wrong tries to sign in.", hint, seconds)
            for key in keys:
                tries = self._of(key, now_s)
                tries.count += 1
                tries.last_s = now_s

    def right(self, address: str, user: str) -> None:
        """The try was right: it does not count, and the user's wrong ones are forgotten. The address' are not, or
        whoever has one account could try the others' passwords for ever.
        """
        of_address, of_user = _keys(address, user)
        with self._lock:
            self._tries.pop(of_user, None)
            if of_address in self._tries:
                self._tries[of_address].count -= 1

    def _wait_s(self, key: _Key, now_s: float) -> float:
        tries = self._tries.get(key)
        if tries is None or tries.count < FREE_TRIES:
            return 0.0
        pause_s = min(2.0 ** min(tries.count - FREE_TRIES, 20), _LONGEST_WAIT_S[key[0]])
        return tries.last_s + pause_s - now_s

    def _of(self, key: _Key, now_s: float) -> _Tries:
        tries = self._tries.pop(key, None)
        if tries is None or now_s - tries.last_s > _FORGOTTEN_AFTER_S:
            tries = _Tries()
        self._tries[key] = tries
        while len(self._tries) > _MOST_KEYS:
            self._tries.popitem(last=False)
        return tries


def _keys(address: str, user: str) -> tuple[_Key, _Key]:
    return ("address", client_network(address)), ("user", user.casefold()[:100])


def client_network(address: str) -> str:
    """What one client surely has: an IPv4 address, or a /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
