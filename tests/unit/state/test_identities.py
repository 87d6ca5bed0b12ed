"""Which documents are known: the rules of `log.identities`, on both databases."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from missioncontrol.log.kafka_messages import claimant, place
from missioncontrol.state.database import Database
from missioncontrol.state.identities import DAY_S, KnownIdentities

DAYS = 7
NOW_S = 1_763_800_000


def id_of(number: int) -> bytes:
    return uuid.UUID(int=number).bytes


def at(offset: int, partition: int = 0) -> int:
    """The claimant of a record."""
    return claimant(place(partition, offset))


@pytest.fixture
def known(state_url: str) -> KnownIdentities:
    return KnownIdentities(Database(state_url), DAYS)


def claims(known: KnownIdentities, *rows: tuple[int, int, int]) -> list[bool]:
    """Claim (number of the id, claimant, seconds after `NOW_S`)."""
    ids, claimants, times = zip(*rows, strict=True)
    return known.claim([id_of(n) for n in ids], claimants, [NOW_S + t for t in times])


def test_the_first_is_none_and_all_others_are_duplicates(known: KnownIdentities) -> None:
    assert known.claim([], [], []) == []
    assert claims(known, (1, at(0), 0), (2, at(1), 0), (1, at(2), 0), (1, at(3), 5)) == [
        False,
        False,
        True,
        True,
    ]
    assert claims(known, (2, at(4), 9), (1, 5, 9), (3, 5, 9), (3, 5, 9)) == [True, True, False, False]
    assert claims(known, (3, at(5), 10), (3, 6, 10)) == [True, True]


def test_what_is_claimed_again_has_the_same_answer(known: KnownIdentities) -> None:
    rows = [(number % 40, at(number), number) for number in range(200)]
    first = claims(known, *rows)
    assert first == [number >= 40 for number in range(200)]
    assert claims(known, *rows) == first
    for cut in (1, 39, 41, 150):
        assert claims(known, *rows[:cut]) + claims(known, *rows[cut:]) == first


def test_a_note_is_known_for_the_window_and_a_copy_does_not_prolong_it(known: KnownIdentities) -> None:
    window = DAYS * DAY_S
    assert claims(known, (1, at(0), 0), (1, at(1), window - 1), (1, at(2), window)) == [False, True, False]
    assert claims(known, (1, at(3), 2 * window - 1), (1, at(4), 2 * window)) == [True, False]


def test_a_reader_that_went_back_behind_a_note_that_replaced_an_expired_one_tells_the_same(
    known: KnownIdentities,
) -> None:
    rows = [(1, at(0), 0), (1, at(1), 5), (1, at(2), (DAYS + 1) * DAY_S), (1, at(3), (DAYS + 2) * DAY_S)]
    first = claims(known, *rows)
    assert first == [False, True, False, True]
    assert [claims(known, row)[0] for row in rows] == first


def test_what_a_later_record_noted_is_no_reason_against_an_earlier_one_but_of_another_partition_it_is(
    known: KnownIdentities,
) -> None:
    assert claims(known, (1, at(9), 3)) == [False]
    assert claims(known, (1, at(4), 3)) == [False]
    assert claims(known, (1, at(9), 3), (1, at(4), 3)) == [True, False]
    assert claims(known, (2, at(9, 1), 3)) == [False]
    assert claims(known, (2, at(4, 0), 3), (2, at(4, 2), 3)) == [True, True]


def test_a_topic_made_anew_finds_what_the_old_one_noted_known(known: KnownIdentities) -> None:
    assert claims(known, (1, at(900), 0), (2, at(901), 0)) == [False, False]
    assert claims(known, (1, at(3), 60), (2, at(901), 60), (2, at(901), 60)) == [True, True, True]


def test_a_record_whose_clock_was_days_ahead_is_none_when_it_is_read_again_after_its_copy(
    known: KnownIdentities,
) -> None:
    ahead, copy = (1, at(0), 3 * DAY_S), (1, at(1), 0)
    assert claims(known, ahead, copy) == [False, True]
    assert claims(known, ahead) + claims(known, copy) == [False, True]


def test_a_note_by_a_clock_far_ahead_counts_but_not_for_ever(known: KnownIdentities) -> None:
    assert claims(known, (1, at(0), 3650 * DAY_S), (2, 5, 3650 * DAY_S)) == [False, False]
    assert claims(known, (1, at(1), 0), (2, 6, 0), (2, 5, 0)) == [True, True, False]
    assert claims(known, (1, at(2), 6 * DAY_S), (1, at(3), 8 * DAY_S)) == [True, False]
    assert claims(known, (2, 6, 6 * DAY_S), (2, 6, 8 * DAY_S)) == [True, False]


def test_released_ids_are_free_again_and_no_others(known: KnownIdentities) -> None:
    claims(known, (1, 5, 0), (2, 6, 0), (3, at(0), 0))
    known.release([])
    known.release([5, 7])
    assert claims(known, (1, 8, 1), (2, 8, 1), (3, 8, 1)) == [False, True, True]


def test_a_sweep_forgets_what_no_reader_will_know_and_mends_what_a_wrong_clock_noted(
    known: KnownIdentities, state_url: str
) -> None:
    window = DAYS * DAY_S
    count = 25_000
    known.claim(
        [id_of(n) for n in range(count)],
        [at(n) for n in range(count)],
        [NOW_S + n % 2 * DAY_S for n in range(count)],
    )
    claims(known, (count, 5, 3650 * DAY_S))
    known.sweep(NOW_S + window, NOW_S + window + DAY_S)
    assert rows_of(state_url) == count // 2 + 1
    assert claims(known, (count, 6, window + DAY_S), (count, 6, 2 * window + DAY_S)) == [True, False]
    known.sweep(NOW_S + window + DAY_S, NOW_S + window + DAY_S + 60)
    assert rows_of(state_url) == count // 2 + 1  # a pass was made lately
    known.sweep(NOW_S + window + DAY_S, NOW_S + window + DAY_S + 3600)
    assert rows_of(state_url) == 1


def rows_of(state_url: str) -> int:
    with Database(state_url).engine().connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM identities").scalar_one())


def test_of_claims_that_meet_one_wins_each_id(state_url: str) -> None:
    ids = [id_of(number) for number in range(3000)]
    answers: dict[int, list[bool]] = {}

    def claim(who: int) -> None:
        order = ids if who % 2 else ids[::-1]
        found = KnownIdentities(Database(state_url), DAYS).claim(order, [who] * len(ids), [NOW_S] * len(ids))
        answers[who] = found if who % 2 else found[::-1]

    threads = [threading.Thread(target=claim, args=(who,)) for who in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(told) for told in zip(*answers.values(), strict=True)] == [
        [False, True, True, True]
    ] * len(ids)


IMPORTS = st.tuples(st.integers(0, 3), st.sampled_from([5, 6]), st.integers(0, 16 * DAY_S))
# A record has one time, and those of a batch are in order.
RECORDS = [at(offset, partition) for partition in range(2) for offset in range(6)]
READ = st.tuples(st.integers(0, 3), st.sampled_from(RECORDS)).map(
    lambda r: (*r, (-r[1] & 7) // 2 * 4 * DAY_S)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.one_of(IMPORTS, READ), min_size=1, max_size=12), max_size=4))
@example(batches=[[(0, at(0, 1), 0), (0, at(0, 0), 0), (0, at(0, 1), 0)]])
@example(batches=[[(0, at(2), 345_600), (0, 6, 1), (0, at(1), 345_600), (0, at(2), 345_600)]])
def test_batches_tell_what_one_after_the_other_would(
    new_state: Callable[[], str], shared: list[KnownIdentities], batches: list[list[tuple[int, int, int]]]
) -> None:
    if not shared:
        shared += [KnownIdentities(Database(new_state()), DAYS) for _ in range(2)]
    whole, single = shared
    for known in shared:
        known.release([5, 6, *RECORDS])
    for rows in batches:
        assert claims(whole, *rows) == [claims(single, row)[0] for row in rows]


@pytest.fixture
def shared() -> list[KnownIdentities]:
    return []
