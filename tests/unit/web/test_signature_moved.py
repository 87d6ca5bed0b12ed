"""Versions that a signature moves: rates at equal age, marks, beginnings, gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from missioncontrol.health.published import Version
from missioncontrol.query.signature_history import Beginning, CrashHour, UsageHour
from missioncontrol.web.crashes.address import CrashState
from missioncontrol.web.crashes.moved import (
    LIFE_HOURS,
    SHOWN,
    Lives,
    Moved,
    build_moved,
    dispersions,
    place_of,
    stretches_of,
)
from missioncontrol.web.crashes.woven import Carrying

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = START + timedelta(days=15)
"""Ten days after the sixth of the versions, which are two days apart."""
PLACE = ("Firefox", "release")
STATE = CrashState("/signature", signature="a::b", product="Firefox")


def versions(number: int = 6, **fixed: str) -> tuple[Version, ...]:
    return tuple(
        Version(f"{n}.0", START + timedelta(days=2 * n), (f"b{n}",), unfit=fixed.get(f"v{n}", ""))
        for n in range(number)
    )


def hour(moment: datetime) -> int:
    return int(moment.timestamp() // 3600)


def moved(
    own: dict[int, float],
    others: float = 20,
    of: tuple[Version, ...] = versions(),
    usage: float = 50.0,
    **more: object,
) -> Moved:
    """Versions with so many crashes of the signature, two hours after publication each, and `others` beside them."""
    stretches = stretches_of(of, NOW)
    crashes, used, known = [], [], []
    for n, each in enumerate(of):
        at = hour(each.published_at) + 2
        n_own = own.get(n, 0.0)
        crashes.append(
            CrashHour(each.version, f"b{n}", at, n_own, int(n_own), n_own + others, int(n_own + others))
        )
        if n_own:
            first = each.published_at + timedelta(hours=2)
            known.append(Beginning(*PLACE, each.version, f"b{n}", first, n_own))
        used += [
            UsageHour(each.version, f"b{n}", hour(each.published_at) + h, usage) for h in range(48) if usage
        ]
    lives = Lives(stretches, crashes, used, lambda version, build: version or "")
    state = more.get("state", STATE)
    assert isinstance(state, CrashState)
    carrying = more.get("carrying", [])
    assert isinstance(carrying, list)
    return build_moved(state, PLACE, of, lives, known, carrying, "main_crashes", 1.0)


def test_rates_are_per_thousand_usage_hours_and_the_newest_is_first() -> None:
    found = moved(dict.fromkeys(range(6), 12))
    assert [row.version for row in found.rows] == ["5.0", "4.0", "3.0", "2.0", "1.0", "0.0"]
    newest = found.rows[0]
    assert (newest.usage_hours, newest.crashes, newest.reports) == (2400, 12, 12)
    assert newest.rate == pytest.approx(5.0) and newest.rate_before == pytest.approx(5.0)
    assert newest.share == pytest.approx(12 / 32) and newest.ratio == pytest.approx(1.0)
    assert (newest.mark, newest.compared) == ("alike", 5)
    oldest = found.rows[-1]
    assert (oldest.mark, oldest.compared, oldest.rate_before, oldest.ratio) == ("", 0, None, None)


def test_what_is_beyond_chance_is_marked() -> None:
    before = dict.fromkeys(range(5), 100.0)
    more, fewer = (moved({**before, 5: n}).rows[0] for n in (900.0, 5.0))
    assert (more.mark, fewer.mark) == ("more", "fewer")
    assert more.low is not None and more.ratio is not None and 1 < more.low < more.ratio
    assert fewer.high is not None and fewer.high < 1


def test_one_that_no_version_before_had_is_new_and_says_where_it_began() -> None:
    found = moved({4: 30, 5: 30})
    assert [row.mark for row in found.rows[:3]] == ["alike", "new", ""]
    assert found.rows[1].first_build == "b4" and found.rows[2].first is None
    assert found.began is not None
    assert (found.began_in, found.began.build_id, found.none_before) == ("4.0", "b4", 4)


def test_only_the_same_age_is_compared() -> None:
    """Of the newest one hour is known; what others had later is not held against it."""
    of = (*versions(5), Version("5.0", NOW - timedelta(hours=1, minutes=20), ("b5",)))
    row = moved(dict.fromkeys(range(5), 50.0), of=of).rows[0]
    assert (row.age_hours, row.crashes, row.rate_before) == (2, 0, None)


def test_versions_that_are_no_predecessors_are_left_out() -> None:
    own = {**dict.fromkeys(range(6), 10.0), 3: 1000.0}
    odd = moved(own, of=versions(v3="it was excluded")).rows[0]
    assert (odd.compared, odd.rate_before) == (4, pytest.approx(10 / 2.4))


def test_without_usage_there_are_numbers_and_no_rates() -> None:
    row = moved(dict.fromkeys(range(6), 10.0), usage=0.0).rows[0]
    assert (row.crashes, row.rate, row.rate_before, row.ratio, row.mark) == (10, None, None, None, "")
    assert "not known" in row.course.says and row.course.path == ""


def test_a_row_says_what_the_signature_carries_and_leads_to_its_verdict() -> None:
    mine = Carrying(*PLACE, "5.0", "main_crashes", "Main crashes", "a::b", 0.9, True, "/carried/x")
    other = msgspec.structs.replace(mine, channel="beta")
    rows = moved({5: 10}, carrying=[mine, other]).rows
    assert [row.carrying for row in rows[:2]] == [[mine], []]
    assert rows[0].verdict_href == "/verdict/Firefox/release/5.0/main_crashes?signature=a%3A%3Ab"
    none = moved({5: 10}, state=CrashState("/signature", signature=None))
    assert none.rows[0].verdict_href == ""


def test_many_versions_are_cut_and_lives_end() -> None:
    many = versions(40)
    stretches = stretches_of(many, START + timedelta(days=200))
    assert len(stretches) > SHOWN and stretches[-1].version == "39.0"
    assert {(each.end - each.start) / timedelta(hours=1) for each in stretches} == {LIFE_HOURS}
    assert all(a.start < b.start for a, b in pairwise(stretches))
    assert stretches_of(many, START) == []


def test_the_channel_with_most_crashes_is_shown_unless_one_is_asked_for() -> None:
    known = [
        Beginning("Firefox", channel, "1.0", None, START, crashes)
        for channel, crashes in (("release", 5.0), ("beta", 9.0), (None, 99.0))
    ]
    assert place_of(STATE, known) == ("Firefox", "beta")
    assert place_of(msgspec.structs.replace(STATE, channel="release"), known) == PLACE
    assert place_of(msgspec.structs.replace(STATE, product="Otter"), known) is None


def test_the_dispersion_is_that_of_the_measure_or_of_another() -> None:
    assert dispersions({"main_crashes": 2.5, "content_crashes": 3.0}, "main_crashes") == 2.5
    assert dispersions({"content_crashes": 3.0}, "main_crashes") == 3.0
    assert dispersions({}, "main_crashes") == 1.0
