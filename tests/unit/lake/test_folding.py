"""Rows of crashes that count no more leave the files; what a search finds stays the same, whoever works meanwhile."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.crash_lake import NOW, CrashLake

from missioncontrol.config import Retention
from missioncontrol.crashes.index import CrashIndex
from missioncontrol.errors import StorageError
from missioncontrol.lake.care import LakeCare
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.folding import Folding
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.plan import kept_days
from missioncontrol.lake.retention import expire
from missioncontrol.lake.tables import CRASHES, REVISIONS, lake_tables

LATER = int((NOW + timedelta(minutes=11)).timestamp() * 1e9)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path / "data")
    yield lake
    lake.close()


def folding(lake: CrashLake, at_ns: int = LATER) -> Folding:
    config = lake.services.config
    return Folding(config.lake_path, config.cache_path, lambda: at_ns)


def rows(lake: CrashLake, table: str = CRASHES) -> int:
    snapshot = lake.services.reader.snapshot(table)
    return sum(file.rows for file in snapshot.files) if snapshot else 0


def found(lake: CrashLake) -> dict[str, int]:
    answer = lake.search("date=>=2026-01-01")
    assert answer.total == sum(facet["count"] for facet in answer.facets["signature"])
    return {facet["term"]: facet["count"] for facet in answer.facets["signature"]}


def test_crashes_that_are_processed_again_and_again_take_the_room_of_once(lake: CrashLake) -> None:
    ids = lake.add(*({"signature": "A"} for _ in range(50)))
    gone = lake.add({"signature": "A"})
    for again in range(1, 6):
        lake.add(*({"signature": f"B{again}", "uuid": i} for i in ids), revision=again)
        if again == 3:
            assert folding(lake).run()
            assert (rows(lake), rows(lake, REVISIONS)) == (51, 50)
    lake.index.delete(gone, NOW)
    expected = {"B5": 50}
    assert found(lake) == expected
    done = folding(lake)
    assert all(merge.committed for merge in done.run())
    assert (rows(lake), rows(lake, REVISIONS)) == (50, 51)
    assert found(lake) == expected
    assert done.run() == []
    lake.add({"signature": "C", "uuid": ids[0]}, revision=6)
    lake.add({"signature": "C", "uuid": gone[0]}, revision=1)
    assert found(lake) == {"B5": 49, "C": 1}


def test_what_was_noted_just_now_stays_for_those_who_read_before(lake: CrashLake) -> None:
    ids = lake.add({"signature": "A"}, {"signature": "A"})
    lake.add(*({"signature": "B", "uuid": i} for i in ids), revision=1)
    lately = folding(lake, LATER - 120_000_000_000)
    assert lately.run() == []
    assert rows(lake) == 4
    lately._clock = lambda: LATER
    assert lately.run(), "it was not forgotten"
    assert (rows(lake), found(lake)) == (2, {"B": 2})


def test_a_row_that_is_not_announced_yet_stays(lake: CrashLake) -> None:
    """A worker writes the row first, then that it counts."""
    [crash] = lake.add({"signature": "A"})
    lake.add({"signature": "B", "uuid": crash}, revision=1)
    announce, lake.index._append = lake.index._append, lambda *_: None
    original = CrashIndex._append
    lake.index._append = lambda table, rows: original(lake.index, table, rows) if table == CRASHES else None
    lake.add({"signature": "C", "uuid": crash}, revision=2)
    lake.index._append = announce
    folding(lake).run(full=True)
    assert (rows(lake), found(lake)) == (2, {"B": 1})


def test_few_rows_are_left_until_all_are_asked_for(lake: CrashLake) -> None:
    ids = lake.add(*({"signature": "A"} for _ in range(40)))
    lake.add({"signature": "B", "uuid": ids[0]}, revision=1)
    assert folding(lake).run() == []
    assert folding(lake).run(full=True)
    assert (rows(lake), found(lake)) == (40, {"A": 39, "B": 1})


def test_a_day_that_another_process_rewrites_is_left_for_the_next_turn(lake: CrashLake) -> None:
    ids = lake.add({"signature": "A"}, {"signature": "A"})
    lake.add(*({"signature": "B", "uuid": i} for i in ids), revision=1)
    done = folding(lake)
    with rewriting(lake.services.config.lake_path, CRASHES, "2026-11-26") as alone:
        assert alone
        assert done.run() == []
    assert done.run()
    assert (rows(lake), found(lake)) == (2, {"B": 2})


@pytest.mark.parametrize("broken_day", ["2026-11-26", "2026-11-24"])
def test_a_day_that_cannot_be_read_stops_no_other(lake: CrashLake, broken_day: str) -> None:
    days = {"2026-11-26": 0, "2026-11-24": 48}
    for hours_ago in days.values():
        ids = lake.add(*({"signature": "A", "hours_ago": hours_ago} for _ in range(2)))
        lake.add(*({"signature": "B", "uuid": i, "hours_ago": hours_ago} for i in ids), revision=1)
    [broken] = (lake.services.config.lake_path / REVISIONS).glob(f"*={broken_day}/*.parquet")
    content = broken.read_bytes()
    broken.write_bytes(b"no Parquet")
    with pytest.raises(StorageError):
        folding(lake).run()
    assert rows(lake) == 6, "the other day was folded"
    broken.write_bytes(content)
    assert folding(lake).run()
    assert (rows(lake), found(lake)) == (4, {"B": 4})


def test_workers_foldings_and_compactions_at_once_lose_and_double_nothing(lake: CrashLake) -> None:
    config, registry = lake.services.config, lake.services.registry()
    ids = lake.add(*({"signature": "A0"} for _ in range(24)))
    expected: Counter[str] = Counter()
    stop, failures, lock = threading.Event(), [], threading.Lock()

    def work(number: int) -> None:
        mine, chance = ids[number::3], random.Random(number)
        for again in range(1, 9):
            some = [i for i in mine if again < 8 or chance.random() < 0.5]
            with lock:  # the index of one process; folding and compaction go on beside it
                lake.add(*({"signature": f"B{number}.{again}", "uuid": i} for i in some), revision=again)
        with lock:
            expected.update({f"B{number}.8": len(some), f"B{number}.7": len(mine) - len(some)})

    def rewrite(step) -> None:
        while not stop.is_set():
            try:
                step()
            except Exception as error:
                failures.append(error)
                return

    def merge() -> None:
        for table in (CRASHES, REVISIONS):
            compact(config.lake_path, config.cache_path, lake_tables(registry)[table], 1 << 20, full=True)

    rewriters = [
        threading.Thread(target=rewrite, args=(step,))
        for step in (lambda: folding(lake).run(full=True), folding(lake).run, merge)
    ]
    workers = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in (*rewriters, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    for thread in rewriters:
        thread.join()
    assert failures == []
    folding(lake).run(full=True)
    assert found(lake) == {name: n for name, n in expected.items() if n}
    assert (rows(lake), rows(lake, REVISIONS)) == (24, 24)


def test_the_care_of_the_lake_folds(lake: CrashLake) -> None:
    ids = lake.add({"signature": "A"}, {"signature": "A"})
    lake.add(*({"signature": "B", "uuid": i} for i in ids), revision=1)
    config = lake.services.config
    care = LakeCare(config.lake_path, config.cache_path, lake.services.registry, config.lake, lambda: LATER)
    report = care.run_once()
    assert {m.table for m in report.compacted} >= {CRASHES}
    assert rows(lake) == 2


def test_revisions_stay_as_long_as_the_rows_that_they_are_about(lake: CrashLake, monkeypatch) -> None:
    ids = lake.add({"signature": "A", "hours_ago": 480}, {"signature": "A"})
    again = [{"signature": "B", "uuid": ids[0], "hours_ago": 480}, {"signature": "B", "uuid": ids[1]}]
    lake.add(*again, revision=1)
    config = lake.services.config
    assert kept_days(Retention(crashes=7), REVISIONS) == 7

    def go() -> list[str]:
        gone = expire(config.lake_path, config.cache_path, Retention(crashes=7), as_of=NOW.date())
        return [one.table for one in gone]

    from missioncontrol.lake import retention

    swap = retention.swap
    monkeypatch.setattr(
        retention, "swap", lambda path, table, *a, **k: table != CRASHES and swap(path, table, *a, **k)
    )
    with pytest.raises(retention.StorageError):
        go()  # the rows cannot leave
    assert found(lake) == {"B": 2}, "and none that counted no more is back"
    monkeypatch.setattr(retention, "swap", swap)
    assert sorted(go()) == [REVISIONS, CRASHES]
    assert (rows(lake), rows(lake, REVISIONS), found(lake)) == (2, 1, {"B": 1})
