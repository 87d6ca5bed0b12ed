"""Writes its name into a file, again and again, while it is its turn: `turn_worker.py STATE_URL FILE NAME`."""

from __future__ import annotations

import os
import signal
import sys
import threading

from missioncontrol.state.database import Database
from missioncontrol.state.leases import Leases
from missioncontrol.state.turns import LeaseTurn

if __name__ == "__main__":
    url, file, name = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work(ending: threading.Event) -> None:
        while not ending.wait(0.02):
            os.write(descriptor, f"{name}\n".encode())

    LeaseTurn(Leases(Database(url)), "work", lease_s=3, renew_s=0.3, sure_s=1.5, ask_s=0.2).work(stop, work)
