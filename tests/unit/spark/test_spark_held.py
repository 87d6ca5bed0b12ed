"""How far tables hold a topic: where to go on, who lacks what, what is lost, and which transactions say so."""

from __future__ import annotations

import msgspec
import pytest

from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import Move
from missioncontrol.log.kafka_cluster import Ends
from missioncontrol.log.kafka_messages import place
from missioncontrol.spark.held import Held


def held(ends: dict[int, tuple[int, int]], **tables: dict[int, int | None]) -> Held:
    """`tables`: by partition the offset of the last message that the table holds."""
    return Held(
        "stream:t",
        {p: Ends(*both) for p, both in ends.items()},
        {
            name: {p: 0 if last is None else place(p, last) for p, last in own.items()}
            for name, own in tables.items()
        },
    )


def test_a_new_topic_is_read_from_its_first_message() -> None:
    new = held({0: (0, 10), 1: (0, 0)}, a={0: None, 1: None}, b={0: None, 1: None})
    assert new.least() == {0: 0, 1: 0} and new.behind() == ["a", "b"] and new.second() is None
    new.refuse_gap()
    assert new.moves("a", {0: 10, 1: 0}) == [Move("stream:t-0", place(0, 9), 0)]


def test_tables_that_were_not_reached_are_behind_those_that_were() -> None:
    died = held({0: (0, 30), 1: (0, 30)}, a={0: 19, 1: 9}, b={0: 19, 1: 9}, c={0: 9, 1: 9})
    assert died.least() == {0: 10, 1: 10} and died.behind() == ["c"] and died.second() == {0: 20, 1: 10}
    assert died.moves("c", {0: 20, 1: 10}) == [Move("stream:t-0", place(0, 19), place(0, 9))]
    assert died.moves("a", {0: 20, 1: 10}) == []


def test_what_was_deleted_first_is_a_gap_and_what_was_deleted_later_is_none() -> None:
    kept = held({0: (15, 30), 1: (0, 5)}, a={0: 14, 1: 4})
    kept.refuse_gap()
    assert kept.lost() == {}
    gone = held({0: (15, 30), 1: (3, 5)}, a={0: 9, 1: None})
    assert gone.lost() == {0: 5, 1: 3}, "a partition of which nothing was ever read is no exception"
    with pytest.raises(StorageError) as refused:
        gone.refuse_gap()
    assert refused.value.code == "log_gap" and "8 messages" in refused.value.message


def test_a_table_that_is_new_beside_others_begins_with_what_there_is() -> None:
    added = held({0: (15, 30)}, old={0: 19}, new={0: None})
    added.refuse_gap()
    assert added.least() == {0: 15} and added.behind() == ["new"] and added.second() == {0: 20}
    assert added.moves("new", {0: 20}) == [Move("stream:t-0", place(0, 19), 0)]


def test_a_topic_that_lost_messages_is_told() -> None:
    shorter = held({0: (0, 10)}, a={0: 19})
    with pytest.raises(StorageError) as refused:
        shorter.refuse_behind()
    assert refused.value.code == "log_behind_lake"


def test_the_backlog_is_what_some_table_lacks_and_the_topic_still_has() -> None:
    now = held({0: (0, 30), 1: (5, 9), 2: (0, 0)}, a={0: 19, 1: None, 2: None}, b={0: 9, 1: None, 2: None})
    assert now.backlog() == {0: 20, 1: 4, 2: 0}


def test_a_goal_is_reached_when_all_tables_hold_what_the_topic_had_then() -> None:
    then = held({0: (0, 10), 1: (0, 5)}, a={0: 4, 1: 4}, b={0: 4, 1: 4})
    goal = then.goal()
    assert not then.reaches(goal)
    half = held({0: (0, 20), 1: (0, 20), 2: (0, 7)}, a={0: 9, 1: 4, 2: None}, b={0: 8, 1: 4, 2: None})
    assert not half.reaches(goal)
    later = held({0: (0, 20), 1: (0, 20), 2: (0, 7)}, a={0: 9, 1: 4, 2: None}, b={0: 19, 1: 4, 2: None})
    assert later.reaches(goal), "what came since, and a partition that was added, are of the next"
    assert msgspec.structs.replace(half, app="stream:another").reaches(goal)


def test_tables_that_are_as_one_stream_left_them_are_told_from_those_that_another_moved() -> None:
    left = held({0: (0, 10), 1: (0, 5)}, a={0: 4, 1: None}, b={0: 4, 1: None}).advanced(
        ["a", "b"], {0: 8, 1: 5}
    )
    held({0: (0, 30), 1: (0, 9), 2: (0, 3)}, a={0: 7, 1: 4, 2: None}, b={0: 7, 1: 4, 2: None}).refuse_others(
        left
    )
    for moved in ({0: 9, 1: 4}, {0: 7, 1: None}, {0: 7, 1: 4, 2: 0}):
        with pytest.raises(StorageError) as refused:
            held({0: (0, 30), 1: (0, 9), 2: (0, 3)}, a={0: 7, 1: 4}, b=moved).refuse_others(left)
        assert refused.value.code == "lake_conflict" and "b holds" in refused.value.message
