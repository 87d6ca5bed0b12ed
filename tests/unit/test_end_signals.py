"""Ending by signals: however many come at once, a process does not wait for itself."""

import signal
import subprocess
import sys

FOLLOWER = """
import signal
import threading
from missioncontrol.processes import call_on_end

stop = threading.Event()
call_on_end(stop.set)
print("ready", flush=True)
for _ in range(5_000):
    stop.wait(0.0001)
    stop.clear()
stop.wait()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)  # those that come while it ends
"""


def test_signals_that_come_while_the_main_thread_holds_the_same_lock_end_the_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", FOLLOWER], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        while child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGINT)
        assert child.returncode == 0
    finally:
        child.kill()
        child.wait()
