"""Crash reports of live traffic: of the same crashes as its pings, and taken by a real server."""

from __future__ import annotations

import asyncio
import time
from itertools import islice, takewhile
from pathlib import Path

import pytest
from tests.support.server import running_server

from missioncontrol.errors import BadRequest
from missioncontrol.simulate.demo import demo_fleet, live_reports
from missioncontrol.simulate.report_traffic import send_reports
from missioncontrol.simulate.stamps import HOUR_S, NS

NOW_NS = 1_793_000_000 * NS
RATE = 20.0


def test_each_is_of_a_crash_that_pings_tell_of_and_comes_with_it() -> None:
    fleet, end_ns = demo_fleet(20, NOW_NS), NOW_NS + HOUR_S * NS
    pings = takewhile(lambda ping: ping.received_ns < end_ns, fleet.live(NOW_NS, RATE, light=True))
    crashes = {(p.received_ns, p.build_id) for p in pings if p.document_type == "crash"}
    due = list(takewhile(lambda pair: pair[0] < end_ns, live_reports(fleet, NOW_NS, RATE)))
    assert len(due) > 20 and [ns for ns, _ in due] == sorted(ns for ns, _ in due)
    assert {(ns, report.raw["BuildID"]) for ns, report in due} <= crashes
    assert {report.raw["ReleaseChannel"] for _, report in due} == {"release"}


def test_a_server_takes_them_in_time(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    made = list(islice(live_reports(demo_fleet(20, now_ns), now_ns, RATE), 8))
    due = [(now_ns - NS if n < 6 else now_ns + 2 * NS, report) for n, (_, report) in enumerate(made)]
    with running_server(tmp_path) as server:
        assert asyncio.run(send_reports(due, server.url)) == len(due)
        assert time.time_ns() >= due[-1][0]
        server.wait_until(lambda: server.sql("SELECT count(*) AS n FROM crashes") == [{"n": len(due)}], 60)
        known = {row["build"] for row in server.sql("SELECT build FROM crashes")}
    assert known == {report.raw["BuildID"] for _, report in due}


def test_only_this_machine_is_sent_any() -> None:
    with pytest.raises(BadRequest) as refused:
        asyncio.run(send_reports([], "http://example.com"))
    assert refused.value.code == "not_loopback"
