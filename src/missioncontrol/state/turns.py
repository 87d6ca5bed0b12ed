"""Whose turn it is: work that one process of an installation does is done by whoever has the turn of that name.

Processes of one data folder with a state of its own agree by the lock of a file, which the system frees when its holder
ends. Where machines share a state they agree by a lease in it, which its holder renews. A holder that could not renew
it for half of its time stops what it does while the lease still holds, so that two never work at the same time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from missioncontrol.errors import MissionControlError
from missioncontrol.file_lock import try_lock
from missioncontrol.state.leases import Leases

LEASE_S = 40.0
"""After so long the work of a process that is gone is another's."""
_RENEW_S = 5.0
_SURE_S = 20.0
"""A holder believes for so long in a lease that it could not renew: what it began has as long again to end."""
_ASK_S = 3.0
_LOOK_S = 0.25
Work = Callable[[threading.Event], None]

logger = structlog.get_logger()


def _clock() -> float:
    """Seconds that pass also while the machine sleeps or the process is stopped."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Turn(Protocol):
    """The turn of one name, for one process."""

    def work(self, stop: threading.Event, work: Work, lost: Callable[[], None] = lambda: None) -> None:
        """Wait for the turn and work, again and again until `stop` is set.

        `work(ending)` works until `ending` is set: when `stop` is, or when the turn is lost. Then `lost` is called too,
        for work that cannot look at `ending` in the middle.
        """

    def taken(self) -> str:
        """Who has the turn now, in words; empty: nobody."""


class FileTurn:
    """The turn among processes of one data folder."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock

    def taken(self) -> str:
        """As `Turn.taken`."""
        try:
            with self._lock.open() as lock:  # as others that only look do: none takes another for the holder
                return "" if try_lock(lock, shared=True) else "a process of this data folder"
        except FileNotFoundError:
            return ""

    def work(self, stop: threading.Event, work: Work, lost: Callable[[], None] = lambda: None) -> None:
        """As `Turn.work`; it is never lost."""
        with self._lock.open("w") as lock:
            while not try_lock(lock):
                if stop.wait(_ASK_S):
                    return
            work(stop)


class _Ending(threading.Event):
    """Is set at the latest when the holder can believe in its lease no longer, even if no thread could say so."""

    def __init__(self, sure_until: Callable[[], float]) -> None:
        super().__init__()
        self._sure_until = sure_until

    def is_set(self) -> bool:
        return super().is_set() or _clock() > self._sure_until()

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(timeout) or self.is_set()


class LeaseTurn:
    """The turn among machines that share a state."""

    def __init__(
        self,
        leases: Leases,
        name: str,
        lease_s: float = LEASE_S,
        renew_s: float = _RENEW_S,
        sure_s: float = _SURE_S,
        ask_s: float = _ASK_S,
    ) -> None:
        self._leases, self._name = leases, name
        self._lease_s, self._renew_s, self._sure_s, self._ask_s = lease_s, renew_s, sure_s, ask_s
        self.holder = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
        self._sure_until = 0.0

    def taken(self) -> str:
        """As `Turn.taken`; raises `StorageError`."""
        held = self._leases.holder(self._name)
        if held is None:
            return ""
        host, pid, *_ = held.holder.split()
        return f"process {pid} of {host}; if it is gone, its turn ends in {held.left_s:.0f} s"

    def work(self, stop: threading.Event, work: Work, lost: Callable[[], None] = lambda: None) -> None:
        """As `Turn.work`."""
        while not stop.is_set():
            if self._take():
                self._work(stop, work, lost)
            stop.wait(self._ask_s)

    def _work(self, stop: threading.Event, work: Work, lost: Callable[[], None]) -> None:
        ending = _Ending(lambda: self._sure_until)
        renewing = threading.Thread(target=self._renew, args=(ending,), name="turn renewal", daemon=True)
        looking = threading.Thread(target=self._look, args=(stop, ending, lost), name="turn", daemon=True)
        renewing.start()
        looking.start()
        try:
            work(ending)
        finally:
            ending.set()
            looking.join()
            renewing.join(self._sure_s)  # or it would renew what is given back
            try:
                self._leases.give_back(self._name, self.holder)
            except Exception as error:  # then it ends by itself
                logger.warning("turn_not_given_back", turn=self._name, error=str(error))

    def _take(self) -> bool:
        """Hold the lease, anew or for longer; False when another has it, or nobody can say."""
        asked = _clock()  # before the question: the lease ends no earlier than this tells
        try:
            held = self._leases.take(self._name, self.holder, self._lease_s)
        except MissionControlError as error:
            logger.warning("turn_unknown", turn=self._name, code=error.code, message=error.message)
            return False
        except Exception:
            logger.exception("turn_unknown", turn=self._name)
            return False
        self._sure_until = asked + self._sure_s if held else 0.0
        return held

    def _renew(self, ending: threading.Event) -> None:
        while not ending.wait(self._renew_s):
            self._take()

    def _look(self, stop: threading.Event, ending: threading.Event, lost: Callable[[], None]) -> None:
        """In a thread that waits for nothing else: the state may take long to say nothing."""
        while not ending.wait(_LOOK_S):
            if stop.is_set():
                ending.set()
        if _clock() > self._sure_until:
            logger.error("turn_lost", turn=self._name)
            ending.set()
            lost()
