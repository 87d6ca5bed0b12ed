"""Refusals reach the log, whatever happens on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from missioncontrol.clock import window_start_s
from missioncontrol.ingest.refusals import Refusals
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog

WINDOW_NS = 300 * 10**9
START_NS = 1_800_000_000 * 10**9


class HandClock:
    now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


def entries(log: SqliteLog) -> list[Entry]:
    return [record.entry for record in log.read(0, 100, 1 << 20)]


def test_refusals_are_counted_by_window_and_code(tmp_path: Path) -> None:
    log, clock = SqliteLog(tmp_path / "log"), HandClock()
    refusals = Refusals(log, clock)
    for code in ("body_too_large", "body_too_large", "length_required"):
        refusals.add(code)
    clock.now_ns += WINDOW_NS
    refusals.add("body_too_large")
    assert asyncio.run(refusals.flush())
    assert [(e.kind, window_start_s(e.received_ns), e.detail, e.count) for e in entries(log)] == [
        (Kind.REFUSED, START_NS // 10**9, "edge_body_too_large", 2),
        (Kind.REFUSED, START_NS // 10**9, "edge_length_required", 1),
        (Kind.REFUSED, START_NS // 10**9 + 300, "edge_body_too_large", 1),
    ]
    assert refusals.totals == {"body_too_large": 3, "length_required": 1}
    log.close()


def test_a_flush_without_refusals_writes_nothing(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    refusals = Refusals(log, HandClock())
    refusals.add("client_gone")
    asyncio.run(refusals.flush())
    asyncio.run(refusals.flush())
    assert len(entries(log)) == 1
    log.close()


def test_a_flush_that_fails_is_kept_and_written_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "not_yet_a_folder"
    folder.write_text("a file where the log's folder should be")
    log = SqliteLog(folder / "log")
    refusals = Refusals(log, HandClock())
    refusals.add("client_gone")
    assert not asyncio.run(refusals.flush())
    refusals.add("client_gone")
    folder.unlink()
    assert asyncio.run(refusals.flush())
    assert [(e.detail, e.count) for e in entries(log)] == [("edge_client_gone", 2)]
    log.close()


def test_stopping_flushes_what_is_left(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")

    async def live() -> None:
        refusals = Refusals(log, HandClock())
        refusals.start()
        refusals.add("body_timeout")
        await refusals.stop()

    asyncio.run(live())
    assert [(e.detail, e.count) for e in entries(log)] == [("edge_body_timeout", 1)]
    log.close()
