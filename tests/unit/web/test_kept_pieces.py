"""Courses put together from kept days are those that one query reads, and as new as the lake is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.query.query_lake import DAY, SmallLake, row

from missioncontrol.config import Query
from missioncontrol.query.engine import Engine
from missioncontrol.query.filters import TextFilter
from missioncontrol.query.relation import Span
from missioncontrol.web.measure import courses, kept_pieces
from missioncontrol.web.measure.cells import number_cells
from missioncontrol.web.measure.courses import CourseReader, RowsOf
from missioncontrol.web.measure.lookup import Course, Life

MEASURES = ("main_crashes", "usage_hours")
WINDOW = timedelta(minutes=5)
STEPS = [WINDOW, timedelta(hours=1), timedelta(days=1)]
KEYS: list[tuple[str, ...]] = [(), ("version",), ("version", "country")]


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    """Four days of a file each."""
    found = SmallLake(tmp_path)
    for day in range(4):
        found.add(some_rows(day))
    return found


@pytest.fixture
def engine(lake: SmallLake) -> Iterator[Engine]:
    engine = Engine(lake.reader, lambda: lake.registry, Query(threads=1, memory_limit_mb=256))
    yield engine
    engine.close()


def some_rows(day: int, number: int = 300, seed: int = 0) -> list[dict[str, object]]:
    rng = random.Random(10 * day + seed)
    return [
        row(
            1440 * day + 5 * rng.randrange(288),
            version=rng.choice(["58.0", "59.0", None]),
            country=rng.choice(["DE", "FR"]),
            main_crashes=rng.choice([None, 1, 2]),
            usage_hours=rng.choice([None, 0.25, 3.5]),
        )
        for _ in range(number)
    ]


def in_order(found: list[Course]) -> list[tuple[object, ...]]:
    rows = [
        (str(course.group), str(course.part), place, value, per)
        for course in found
        for place, value, per in zip(course.places, course.values, course.per, strict=True)
    ]
    return sorted(rows, key=lambda one: one[:3])


def asked(reader: CourseReader, first: datetime, end: datetime) -> RowsOf:
    return reader.rows_of([TextFilter("channel", "in", ("release",))], {}, Span(first, end - WINDOW))


def both(
    reader: CourseReader,
    engine: Engine,
    keys: tuple[str, ...],
    step: timedelta,
    first: datetime,
    end: datetime,
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """By the reader that keeps days, and by one query of a reader of its own."""
    direct = CourseReader(engine)._read_whole(asked(reader, first, end), MEASURES, keys, step, (), None)
    return in_order(reader.read(asked(reader, first, end), MEASURES, keys, step)), in_order(direct)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("keys", KEYS)
def test_kept_days_are_what_one_query_reads(engine: Engine, keys: tuple[str, ...], step: timedelta) -> None:
    reader = CourseReader(engine)
    for first_h, last_h in ((0, 96), (7, 90), (7, 91), (24, 48), (30, 40), (0, 96)):
        kept, read = both(
            reader, engine, keys, step, DAY + timedelta(hours=first_h), DAY + timedelta(hours=last_h)
        )
        assert kept == read and kept


def test_what_is_committed_to_a_kept_day_is_in_the_next_answer(lake: SmallLake, engine: Engine) -> None:
    reader = CourseReader(engine)
    span = (DAY, DAY + timedelta(days=4))
    before, _ = both(reader, engine, ("version",), STEPS[1], *span)
    for day in (1, 3):
        lake.add(some_rows(day, 50, seed=5))
        after, read = both(reader, engine, ("version",), STEPS[1], *span)
        assert after == read and after != before
        before = after


def test_a_file_with_windows_of_two_days_is_read_by_one_query(lake: SmallLake, engine: Engine) -> None:
    reader = CourseReader(engine)
    lake.add([row(1435), {**row(1440), "submission_date": DAY.date()}])
    kept, read = both(reader, engine, ("version",), STEPS[1], DAY, DAY + timedelta(days=4))
    assert kept == read


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("keys", KEYS[1:])
def test_kept_days_of_ages_are_what_one_query_reads(
    lake: SmallLake, engine: Engine, keys: tuple[str, ...], step: timedelta
) -> None:
    reader = CourseReader(engine)
    for number, hours in enumerate((20, 33, 50, 50, 90)):  # the lines grow older
        if number == 3:
            lake.add(some_rows(1, 40, seed=9))
        lives = [
            Life("58.0", DAY + timedelta(minutes=25), DAY + timedelta(hours=hours)),
            Life("59.0", DAY + timedelta(hours=5, minutes=35), DAY + timedelta(hours=hours + 5)),
            Life(None, DAY + timedelta(hours=10), DAY + timedelta(hours=10 + hours // 2)),
        ]
        span = Span(DAY, lives[1].end - WINDOW)
        rows = reader.rows_of([TextFilter("channel", "in", ("release",))], {}, span)
        kept = in_order(reader.read(rows, MEASURES, keys, step, lives))
        assert kept == in_order(reader._read_whole(rows, MEASURES, keys, step, lives, None)) and kept


@pytest.mark.parametrize("step", STEPS)
def test_kept_days_since_an_instant_are_what_one_query_reads(engine: Engine, step: timedelta) -> None:
    reader = CourseReader(engine)
    start = DAY + timedelta(hours=7, minutes=25)
    for since in (start, start + WINDOW):
        for hours in (20, 60, 61, 85):
            rows = asked(reader, since, since + timedelta(hours=hours))
            kept = in_order(reader.read(rows, MEASURES, (), step, since=since))
            assert kept == in_order(reader._read_whole(rows, MEASURES, (), step, (), since)) and kept


def test_first_windows_are_kept_by_day_and_follow_what_is_committed(lake: SmallLake, engine: Engine) -> None:
    reader = CourseReader(engine)
    rows = reader.rows_of([], {"version": ["58.0", "60.0", None]}, Span())
    before = reader.first_windows(rows, "version")
    assert set(before) == {"58.0", None} and reader.first_windows(rows, "version") == before
    lake.add([row(2000, version="60.0"), row(1500, version="60.0"), row(3000, version="58.0")])
    assert reader.first_windows(rows, "version") == {**before, "60.0": DAY + timedelta(minutes=1500)}
    lake.add([row(-5, version="58.0"), row(1440, version="58.0")])
    assert reader.first_windows(rows, "version")["58.0"] == DAY - WINDOW


def test_more_courses_than_are_put_together_are_left_to_the_database(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courses, "_MOST_PIECES", 3)
    reader = CourseReader(engine)
    kept, read = both(reader, engine, ("version", "country"), STEPS[1], DAY, DAY + timedelta(days=4))
    assert kept == read


def test_of_too_many_courses_those_with_the_most_usage_stay(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courses, "MOST_PARTS", 2)
    reader = CourseReader(engine)
    kept, read = both(reader, engine, ("version", "country"), STEPS[1], DAY, DAY + timedelta(days=4))
    assert kept == read and len({one[:2] for one in kept}) == 2


def test_no_more_is_kept_than_fits_and_the_answer_stays_right(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = CourseReader(engine)
    span = (DAY, DAY + timedelta(days=4))
    both(reader, engine, ("version",), STEPS[0], *span)
    days = reader._kept
    held = days._bytes
    assert held == sum(len(one.packed) for one in days._days.values()) and len(days._days) == 4
    monkeypatch.setattr(kept_pieces, "MOST_BYTES", held)
    # A day of the other question is smaller than an eighth of the bound, so it takes the place of older ones.
    for step in STEPS:
        kept, read = both(reader, engine, (), step, *span)
        assert kept == read
    assert days._bytes == sum(len(one.packed) for one in days._days.values()) <= held


def test_cells_hold_numbers_as_the_tables_print_them() -> None:
    assert number_cells([(0.00002, 12.5), (None, None)], True, True) == (
        '<td class="n">&lt; 0.001</td><td class="n weak">12.5</td><td class="n">–</td><td class="n weak">–</td>'
    )
    assert number_cells([(1234.0, 1.0)], False, False) == '<td class="n">1,234</td>'
