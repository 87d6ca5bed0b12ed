"""Our servers as processes of the benchmark: started, waited for, watched and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace import BENCH, BenchError, environment


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(command: list[str], port: int, path: str = "/__lbheartbeat__", **settings: str) -> Iterator[int]:
    """A process that serves on `port`; gives its process id when it answers, ends it afterwards."""
    env = environment(**settings)
    with (BENCH / ".work" / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(
                        f"{' '.join(command)} does not answer; see bench/.work/server.log"
                    ) from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def memory_mb(pid: int, field: str = "Rss") -> float:
    """Resident memory of a process and all below it: the sum of `Rss`, or of `Pss` (shared pages in parts)."""
    total_kb = 0
    for each in tree(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:"))
    return total_kb / 1024


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and all below it have used so far."""
    ticks = 0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # its own, and those of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def highest_mb(pid: int) -> float:
    """The most memory that a process ever had; what it has now where the system does not tell."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return memory_mb(pid)


def peak_mb(command: list[str], **settings: str) -> tuple[float, float]:
    """Run a command to its end; (largest sum of resident memory seen over its processes in MB, seconds)."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(**settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peaks = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peaks.append(sum(map(_resident_mb, tree(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if code:
        raise BenchError(f"{' '.join(command)} ended with {code}")
    return max(peaks), seconds


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0
