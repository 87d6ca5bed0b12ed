"""The queue of crashes: nothing is lost, nothing is done twice at once, poison is set aside."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from missioncontrol.state.crash_jobs import AGAIN, URGENT, USUAL, Backlog, Leased, Upload
from missioncontrol.state.crash_queue import ATTEMPTS, CrashQueue
from missioncontrol.state.database import Database

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def queue(state_url: str) -> CrashQueue:
    return CrashQueue(Database(state_url))


def upload(name: str) -> Upload:
    return Upload(name.encode(), f"id-{name}")


def ids(leased: list[Leased]) -> list[str]:
    return [crash.crash_id for crash in leased]


def test_an_upload_is_known_by_its_identity(queue: CrashQueue) -> None:
    assert queue.accept([upload("a"), upload("b"), Upload(b"a", "id-other")], NOW) == ["id-a", "id-b", "id-a"]
    assert queue.accept([Upload(b"b", "id-third")], NOW) == ["id-b"]
    assert queue.known([b"a", b"z"]) == {b"a": "id-a"}
    assert ids(queue.lease("w", 10, 60, NOW)) == ["id-a", "id-b"]


def test_a_crash_that_was_set_aside_is_accepted_again_with_others(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    [leased] = queue.lease("w", 1, 60, NOW)
    queue.failed(msgspec.structs.replace(leased, attempts=ATTEMPTS), "w", "no luck", NOW)
    again = Upload(b"a again", "id-a")
    assert queue.accept([upload("b"), again, upload("c")], later(1)) == ["id-b", "id-a", "id-c"]
    assert queue.known([b"a again"]) == {b"a again": "id-a"}
    assert set(ids(queue.lease("w", 9, 60, later(1)))) == {"id-a", "id-b", "id-c"}
    assert queue.set_aside() == []


def test_eight_at_once_get_one_id(state_url: str) -> None:
    queues = [CrashQueue(Database(state_url)) for _ in range(8)]
    queues[0].backlog(NOW)  # the tables are there
    answers: list[str] = []
    barrier = threading.Barrier(8, timeout=30)

    def send(number: int) -> None:
        barrier.wait()
        answers.extend(queues[number].accept([Upload(b"same", f"id-{number}")], NOW))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert ids(queues[0].lease("w", 10, 60, NOW)) == answers[:1]


def test_a_held_crash_is_not_given_to_another(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    assert ids(queue.lease("one", 1, 60, NOW)) == ["id-a"]
    assert queue.lease("two", 1, 60, later(59)) == []
    assert queue.lease("two", 1, 60, later(60)) == [Leased("id-a", 2)], "the first one died"
    queue.done(["id-a"], "one", later(61))
    assert queue.backlog(later(61)) == Backlog(0, 1, 0, 61.0, 1), "it is the second one's now"
    queue.done(["id-a"], "two", later(62))
    assert queue.backlog(later(62)) == Backlog(0, 0, 0, 0.0)


def test_holding_on(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    queue.lease("one", 1, 60, NOW)
    queue.hold(["id-a"], "one", 60, later(50))
    assert queue.lease("two", 1, 60, later(100)) == []


def test_what_somebody_waits_for_comes_first(queue: CrashQueue) -> None:
    queue.want(["id-old"], AGAIN, NOW)
    queue.accept([upload("a"), upload("b")], later(1))
    queue.want(["id-b"], URGENT, later(2))
    assert (queue.place("id-b"), queue.place("id-a"), queue.place("id-old"), queue.place("id-x")) == (
        0,
        1,
        2,
        None,
    )
    assert ids(queue.lease("w", 3, 60, later(3))) == ["id-b", "id-a", "id-old"]


def test_wanted_again_while_it_is_processed(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    queue.lease("w", 1, 60, NOW)
    queue.want(["id-a"], AGAIN, later(1))
    assert queue.lease("v", 1, 60, later(2)) == []
    queue.done(["id-a"], "w", later(3))
    assert queue.lease("v", 1, 60, later(3)) == [Leased("id-a", 1)]
    queue.want(["id-a"], URGENT, later(4))  # looking at it does not process it twice
    queue.done(["id-a"], "v", later(5))
    assert queue.backlog(later(5)).waiting == 0


def test_looking_at_it_takes_no_wish_back(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    queue.lease("w", 1, 60, NOW)
    queue.want(["id-a"], AGAIN, later(1))
    queue.want(["id-a"], URGENT, later(2))
    queue.done(["id-a"], "w", later(3))
    assert queue.lease("v", 1, 60, later(3)) == [Leased("id-a", 1)]


def test_poison_is_set_aside_with_its_reason(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    now = NOW
    for attempt in range(1, ATTEMPTS + 1):
        [crash] = queue.lease("w", 1, 60, now)
        assert crash.attempts == attempt
        assert queue.failed(crash, "w", "it explodes", now) == (attempt == ATTEMPTS)
        assert queue.lease("w", 1, 60, now) == [], "not at once"
        now += timedelta(minutes=11)
    assert queue.lease("w", 1, 60, now) == []
    [aside] = queue.set_aside()
    assert (aside.crash_id, aside.attempts, aside.reason) == ("id-a", ATTEMPTS, "it explodes")
    assert queue.backlog(now) == Backlog(0, 0, 1, 0.0)
    assert queue.place("id-a") is None
    queue.want(["id-a"], AGAIN, now)
    assert queue.lease("w", 1, 60, now) == [Leased("id-a", 1)]


def test_a_crash_with_which_workers_end_is_set_aside_and_takes_no_other_along(queue: CrashQueue) -> None:
    queue.accept([upload(name) for name in "abcd"], NOW)
    now, held, done = NOW, [], []
    for _ in range(40):
        leased = queue.lease("w", 4, 60, now)
        held.append([crash.crash_id for crash in leased])
        for crash in leased:
            if crash.crash_id == "id-b":
                break  # the worker is killed by it, and comes back under another name
            queue.done([crash.crash_id], "w", now)
            done.append(crash.crash_id)
        now += timedelta(seconds=61)
    assert held[0] == ["id-a", "id-b", "id-c", "id-d"]
    assert all(len(ids) <= 1 for ids in held[1:])
    assert sorted(done) == ["id-a", "id-c", "id-d"]
    assert held.count(["id-b"]) == ATTEMPTS - 1
    [aside] = queue.set_aside()
    assert (aside.crash_id, aside.attempts) == ("id-b", ATTEMPTS)
    assert aside.reason.startswith("worker_lost: ")
    queue.want(["id-b"], AGAIN, now)
    assert queue.lease("w", 4, 60, now) == [Leased("id-b", 1)]


def test_what_was_not_begun_is_given_back(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    queue.lease("w", 1, 60, NOW)
    queue.release(["id-a"], "w", later(1))
    assert queue.lease("v", 1, 60, later(1)) == [Leased("id-a", 1)]


def test_forgetting(queue: CrashQueue) -> None:
    queue.accept([upload("a")], NOW)
    queue.forget("id-a")
    assert queue.lease("w", 1, 60, NOW) == []
    assert queue.accept([Upload(b"a", "id-new")], later(1)) == ["id-a"]
    assert queue.forget_uploads(later(2)) == 1
    assert queue.accept([Upload(b"a", "id-new")], later(3)) == ["id-new"]
    assert queue.lease("w", 9, 60, later(3))[0].crash_id == "id-new"
    assert USUAL < URGENT


def test_the_upload_of_a_deleted_crash_is_known_anew(queue: CrashQueue) -> None:
    queue.accept([upload("a"), upload("b")], NOW)
    queue.remember_upload("id-a", later(10))
    assert queue.forget_uploads(later(5)) == 1
    assert queue.known([b"a", b"b"]) == {b"a": "id-a"}


def test_an_entry_says_how_a_crash_stands(queue: CrashQueue) -> None:
    assert queue.entry("id-a", NOW) is None
    queue.accept([upload("a")], NOW)
    waiting = queue.entry("id-a", NOW)
    assert waiting is not None
    assert (waiting.priority, waiting.attempts, waiting.held, waiting.set_aside) == (USUAL, 0, False, False)
    [leased] = queue.lease("w", 1, 60, NOW)
    held = queue.entry("id-a", later(1))
    assert held is not None and held.held
    lapsed = queue.entry("id-a", later(61))
    assert lapsed is not None and not lapsed.held
    queue.failed(msgspec.structs.replace(leased, attempts=ATTEMPTS), "w", "no luck", later(2))
    aside = queue.entry("id-a", later(3))
    assert aside is not None
    assert (aside.held, aside.set_aside, aside.reason) == (False, True, "no luck")


def test_a_clock_that_was_put_back_keeps_no_crash_waiting(queue: CrashQueue) -> None:
    queue.accept([upload("new"), upload("held"), upload("failed")], NOW)
    leased = queue.lease("w", 3, 60, NOW)
    queue.release(["id-new"], "w", NOW)
    queue.failed(next(c for c in leased if c.crash_id == "id-failed"), "w", "no luck", NOW)
    before = NOW - timedelta(days=400)
    assert queue.any_due(before)
    assert queue.backlog(before).held == 0
    entry = queue.entry("id-held", before)
    assert entry is not None and not entry.held
    found = [crash for _ in range(3) for crash in ids(queue.lease("v", 1, 60, before))]
    assert sorted(found) == ["id-failed", "id-held", "id-new"]
    assert queue.lease("u", 9, 60, before) == [] and queue.backlog(before).held == 3
