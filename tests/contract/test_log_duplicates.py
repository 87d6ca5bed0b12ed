"""What every log promises about documents that come more than once."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_backends import DAY_NS, NOW_NS, LogBackend, SetClock, ping, told
from tests.support.loops import run

from missioncontrol.log.protocol import Appended, Entry, Kind, Log

ID = "c8b1c0a4-7a50-4b1c-9a3e-6a1f7e1c0001"


def append(log: Log, entry: Entry) -> bool:
    """Whether it is a duplicate."""
    before = log.last_offset()
    return told(log, [run(log.append(entry))], before)[0]


def append_all(log: Log, *entries: Entry) -> list[bool]:
    before = log.last_offset()
    return told(log, log.append_many(entries), before)


def kinds(log: Log) -> list[Kind]:
    return [record.entry.kind for record in log.read(0, 1000, 1 << 40)]


def test_a_second_copy_leaves_a_record_without_body_in_its_place(log_backend: LogBackend) -> None:
    log = log_backend.open()
    first = run(log.append(ping(ID, b"body", channel="beta")))
    between = run(log.append(ping("other")))
    second = run(log.append(ping(ID, b"body", channel="beta", count=1)))
    assert told(log, [first, between, second], 0) == [False, False, True]
    assert first.offset < between.offset < second.offset
    record = log.read(between.offset, 10, 1000)[0]
    assert record.offset == second.offset
    assert record.entry == Entry(Kind.DUPLICATE, NOW_NS, document_id=ID, channel="beta", body=b"")


def test_of_two_copies_in_one_commit_the_second_is_the_duplicate(log_backend: LogBackend) -> None:
    log = log_backend.open()
    entries = [ping(ID, b"1"), ping("other"), ping(ID, b"2"), ping(ID, b"3")]
    assert append_all(log, *entries) == [False, False, True, True]
    assert [record.entry.body for record in log.read(0, 10, 1000)] == [b"1", b"{}", b"", b""]


def test_of_many_copies_at_once_exactly_one_is_kept(log_backend: LogBackend) -> None:
    log = log_backend.open()

    async def scenario() -> list[Appended]:
        return list(await asyncio.gather(*(log.append(ping(ID)) for _ in range(50))))

    assert sorted(told(log, run(scenario()), 0)) == [False] + [True] * 49
    assert sorted(kinds(log)) == [Kind.PING] + [Kind.DUPLICATE] * 49


def test_a_record_that_is_read_again_is_of_the_same_kind_however_many_are_read_at_once(
    log_backend: LogBackend,
) -> None:
    log = log_backend.open()
    log.append_many([ping(f"id-{number % 7}") for number in range(40)])
    expected = [Kind.PING] * 7 + [Kind.DUPLICATE] * 33
    for most in (5, 1, 40, 13):
        found: list[Kind] = []
        after = 0
        while records := log.read(after, most, 1 << 40):
            found += [record.entry.kind for record in records]
            after = records[-1].offset
        assert found == expected
    log.close()
    assert kinds(log_backend.open()) == expected


def test_the_letters_case_of_an_id_does_not_matter(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert not append(log, ping(ID)) and append(log, ping(ID.upper()))
    assert not append(log, ping("Not-A-UUID")) and append(log, ping("not-a-uuid"))


def test_entries_without_an_id_are_never_duplicates(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert append_all(log, *[ping(body=b"same")] * 5) == [False] * 5


def test_a_refusal_does_not_make_its_document_known(log_backend: LogBackend) -> None:
    log = log_backend.open()
    refusal = Entry(Kind.REFUSED, NOW_NS, document_id=ID, detail="rule")
    assert append_all(log, refusal, refusal, ping(ID)) == [False] * 3
    assert kinds(log) == [Kind.REFUSED, Kind.REFUSED, Kind.PING]


def test_duplicates_are_known_after_reopening_and_after_trimming(log_backend: LogBackend) -> None:
    log = log_backend.open()
    append_all(log, ping(ID), ping("other"))
    log.trim(log.last_offset())
    assert append(log, ping(ID))
    log.close()
    log = log_backend.open()
    log.trim(log.last_offset())
    assert append(log, ping("other")) and append(log, ping(ID))


@pytest.mark.parametrize("trimmed", [False, True])
def test_an_id_is_known_for_the_window_and_then_new_again(log_backend: LogBackend, trimmed: bool) -> None:
    clock = SetClock()
    log = log_backend.open(dedup_days=7, clock=clock)
    assert not append(log, ping(ID))
    clock.now_ns += 7 * DAY_NS - 10**9
    if trimmed:
        log.trim(log.last_offset())
    assert append(log, ping(ID))
    clock.now_ns += 2 * 10**9
    if trimmed:
        log.trim(log.last_offset())
    assert not append(log, ping(ID, b"again"))
    assert append(log, ping(ID))


def test_a_resend_does_not_prolong_the_window(log_backend: LogBackend) -> None:
    clock = SetClock()
    log = log_backend.open(dedup_days=7, clock=clock)
    assert not append(log, ping(ID))
    for _ in range(6):
        clock.now_ns += DAY_NS
        assert append(log, ping(ID))
    clock.now_ns += DAY_NS
    assert not append(log, ping(ID))


@pytest.mark.parametrize("used_meanwhile", ["append", "trim"])
def test_an_id_noted_by_a_clock_far_ahead_is_known_but_not_for_ever(
    log_backend: LogBackend, used_meanwhile: str
) -> None:
    clock = SetClock(NOW_NS + 3650 * DAY_NS)
    log = log_backend.open(dedup_days=7, clock=clock)
    assert not append(log, ping(ID))
    clock.now_ns = NOW_NS
    if used_meanwhile == "append":
        assert append(log, ping(ID))
    else:
        log.trim(log.last_offset())
    clock.now_ns = NOW_NS + 6 * DAY_NS
    assert append(log, ping(ID))
    clock.now_ns = NOW_NS + 8 * DAY_NS
    assert not append(log, ping(ID))


@pytest.mark.parametrize("now_ns", [0, -(10**18), 1 << 62, 10**27])
def test_no_clock_is_so_wrong_that_the_log_stops(log_backend: LogBackend, now_ns: int) -> None:
    clock = SetClock()
    log = log_backend.open(clock=clock)
    assert not append(log, ping(ID))
    clock.now_ns = now_ns
    append(log, ping(ID))
    assert not append(log, ping("other"))
    log.claim(["third"], 1)
    log.trim(log.last_offset())
    clock.now_ns = NOW_NS
    log.trim(log.last_offset())
    append(log, ping("other"))
    assert append(log, ping("other"))


def test_a_claimed_id_is_a_duplicate_when_it_is_appended(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert log.claim([ID, "other"], 5) == [False, False]
    log.close()
    log = log_backend.open()
    assert append(log, ping(ID.upper())) and not append(log, ping("third"))
    assert kinds(log) == [Kind.DUPLICATE, Kind.PING]


def test_an_appended_id_is_a_duplicate_when_it_is_claimed(log_backend: LogBackend) -> None:
    log = log_backend.open()
    append_all(log, ping(ID), ping("other"))
    assert log.claim(["new", ID, "other", ID], 5) == [False, True, True, True]


def test_a_claimant_finds_its_own_claims_free_and_those_of_others_taken(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert log.claim([ID, "a", "a"], 5) == [False, False, False]
    assert log.claim(["a", ID, "b"], 5) == [False, False, False]
    assert log.claim(["a", ID, "b", "c"], 6) == [True, True, True, False]
    assert log.claim(["c", "a"], 5) == [True, False]


def test_claims_expire_like_appended_ids(log_backend: LogBackend) -> None:
    clock = SetClock()
    log = log_backend.open(dedup_days=7, clock=clock)
    log.claim([ID], 5)
    clock.now_ns += 7 * DAY_NS + 10**9
    assert log.claim([ID], 6) == [False]
    assert log.claim([ID], 5) == [True]


def test_claiming_takes_any_number_of_ids_and_leaves_out_the_empty(log_backend: LogBackend) -> None:
    log = log_backend.open()
    ids = [str(uuid.UUID(int=number)) for number in range(1, 5001)]
    assert log.claim([], 5) == []
    assert not any(log.claim(["", *ids, ""], 5))
    assert log.claim(["", *ids, ""], 6) == [False, *[True] * 5000, False]
    assert log.read(0, 10, 10) == []


def test_nobody_claims_in_the_name_of_append(log_backend: LogBackend) -> None:
    log = log_backend.open()
    for claimant in (0, -1):
        with pytest.raises(ValueError, match="claimant 0"):
            log.claim([ID], claimant)
        with pytest.raises(ValueError, match="claimant 0"):
            log.release([5, claimant])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append_many", "claim", "trim", "reopen", "wait"]),
        st.lists(st.integers(0, 6), min_size=1, max_size=4),
    ),
    max_size=20,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_mix_of_uses_tells_duplicates_as_a_plain_dict_would(
    log_backend: LogBackend, steps: list[tuple[str, list[int]]]
) -> None:
    tag = uuid.uuid4().hex  # the examples share a store
    clock = SetClock()
    log = log_backend.open(dedup_days=7, clock=clock)
    noted: dict[str, tuple[int, int]] = {}

    def known(id_: str, claimant: int) -> bool:
        holder, noted_ns = noted.get(id_, (0, 0))
        fresh = clock.now_ns - noted_ns >= 7 * DAY_NS
        if fresh:
            noted[id_] = (claimant, clock.now_ns)
        return not fresh and (claimant == 0 or holder != claimant)

    for step, numbers in steps:
        ids = [f"{tag}-{number}" for number in numbers]
        if step == "append":
            assert append(log, ping(ids[0])) == known(ids[0], 0)
        elif step == "append_many":
            assert append_all(log, *[ping(id_) for id_ in ids]) == [known(id_, 0) for id_ in ids]
        elif step == "claim":
            claimant = 1 + numbers[0] % 2
            assert log.claim(ids, claimant) == [known(id_, claimant) for id_ in ids]
        elif step == "trim":
            log.trim(log.last_offset())
        elif step == "reopen":
            log.close()
            log = log_backend.open(dedup_days=7, clock=clock)
        else:
            clock.now_ns += numbers[0] * DAY_NS


def test_released_claims_are_free_again_and_no_others(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.claim(["a"], 5)
    log.claim(["b"], 6)
    append(log, ping("c"))
    log.release([5, 7])
    assert log.claim(["a", "b", "c"], 8) == [False, True, True]
