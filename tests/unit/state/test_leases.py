"""Leases on both databases: one holder at a time, by the clock of the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from missioncontrol.state.database import Database, leases
from missioncontrol.state.leases import Leases
from missioncontrol.state.turns import LeaseTurn

CHILD = Path(__file__).with_name("turn_worker.py")


@pytest.fixture
def kept(state_url: str) -> Leases:
    return Leases(Database(state_url))


def end(state_url: str, name: str) -> None:
    """Let the time of a lease be over."""
    with Database(state_url).engine().begin() as connection:
        connection.execute(
            sa.update(leases).where(leases.c.name == name).values(until_s=leases.c.until_s - 1e6)
        )


def test_one_holds_it_until_it_is_given_back(kept: Leases) -> None:
    assert kept.holder("jobs") is None
    assert kept.take("jobs", "a", 60) and not kept.take("jobs", "b", 60)
    assert kept.take("jobs", "a", 60), "for longer"
    assert kept.take("stream", "b", 60), "another one"
    kept.give_back("jobs", "b")
    assert not kept.take("jobs", "b", 60)
    kept.give_back("jobs", "a")
    kept.give_back("jobs", "a")
    assert kept.take("jobs", "b", 60) and not kept.take("jobs", "a", 60)


def test_a_holder_that_is_silent_loses_it_and_learns_of_it(state_url: str, kept: Leases) -> None:
    assert kept.take("jobs", "a", 60)
    end(state_url, "jobs")
    assert kept.holder("jobs") is None
    assert kept.take("jobs", "b", 60) and not kept.take("jobs", "a", 60)
    held = kept.holder("jobs")
    assert held is not None and held.holder == "b"


def test_the_clock_of_the_process_does_not_matter(kept: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    for off_s in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda off_s=off_s: real() + off_s)
        assert kept.take("jobs", "a", 60) and not kept.take("jobs", "b", 60)
        held = kept.holder("jobs")
        assert held is not None and 0 < held.left_s <= 60


def test_of_many_who_ask_at_once_one_has_it(new_state: Callable[[], str]) -> None:
    url = new_state()
    Database(url).engine()
    everybody = [Leases(Database(url)) for _ in range(8)]
    begin = threading.Barrier(8)

    def ask(number: int, name: str) -> bool:
        begin.wait()
        return everybody[number].take(name, f"holder {number}", 60)

    with ThreadPoolExecutor(8) as pool:
        for name in ("first", "second", "third"):
            for over in (False, True):
                if over:
                    end(url, name)
                won = list(pool.map(ask, range(8), [name] * 8))
                held = everybody[0].holder(name)
                # A former holder who asks once more has it again, unless another one was first.
                assert won.count(True) == 1 and held is not None
                assert held.holder == f"holder {won.index(True)}"


@pytest.fixture
def workers(state_url: str, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts processes that write their name into a file as long as it is their turn."""
    Database(state_url).engine()
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(CHILD), state_url, str(tmp_path / "done"), name]
        started.append(subprocess.Popen(command, env=os.environ))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait()


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_another_takes_over_from_one_that_was_killed(
    workers: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    done = tmp_path / "done"
    first = workers("first")
    wait_for(lambda: len(lines(done)) > 5)
    second = workers("second")
    wait_for(lambda: len(lines(done)) > 20)
    assert set(lines(done)) == {"first"}
    first.kill()
    wait_for(lambda: lines(done)[-1] == "second")
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    before = lines(done)
    assert before == sorted(before), "one after the other"
    workers("zthird")
    wait_for(lambda: lines(done)[-1] == "zthird")


def test_one_that_was_held_up_does_nothing_more_until_it_is_its_turn_again(
    workers: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    done = tmp_path / "done"
    first = workers("first")
    wait_for(lambda: len(lines(done)) > 5)
    workers("second")
    first.send_signal(signal.SIGSTOP)
    wait_for(lambda: lines(done)[-1] == "second")
    count = len(lines(done))
    first.send_signal(signal.SIGCONT)
    wait_for(lambda: len(lines(done)) > count + 30)
    assert set(lines(done)[count:]) == {"second"}


def test_work_ends_when_the_state_is_away(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, lost, ended = Leases(Database(state_url)), threading.Event(), threading.Event()
    turn = LeaseTurn(kept, "jobs", lease_s=3, renew_s=0.1, sure_s=1, ask_s=0.1)
    stop = threading.Event()

    def work(ending: threading.Event) -> None:
        monkeypatch.setattr(kept, "take", lambda *_: ended.wait(60) and False)  # no answer comes
        assert ending.wait(30)
        stop.set()

    turn.work(stop, work, lost.set)
    ended.set()
    assert lost.is_set() and stop.is_set()
