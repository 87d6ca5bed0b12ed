"""What fits a text, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from missioncontrol.registry.load import load_registry
from missioncontrol.state.release_model import Release, group
from missioncontrol.web.find.match import (
    KINDS,
    Asked,
    Hit,
    Kind,
    Named,
    asked_of,
    fitting,
    mixed,
    place_among,
)
from missioncontrol.web.find.source import declared_of, pages_of, versions_of
from missioncontrol.web.home.cards import Facts
from missioncontrol.web.home.numbers import Line, Piece, Place, Sums, numbers_of


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("61.0b3", 0),
        ("61.0B3", 0),
        ("61", 1),
        ("0b3", 2),
        ("1.0b", 3),
        ("beta 61", 4),
        ("beta  firefox", 4),
        ("release", None),
    ],
)
def test_how_well_a_version_fits(asked: str, place: int | None) -> None:
    assert place_among("61.0b3", "Firefox beta", looked_for(asked)) == place


def looked_for(text: str) -> Asked:
    asked = asked_of(text)
    assert asked is not None
    return asked


def test_without_a_word_nothing_is_looked_for() -> None:
    assert asked_of("") is asked_of("   ") is None


def test_words_are_looked_for_once_and_ten_of_them_but_a_name_is_compared_whole() -> None:
    signature = "OOM | large | " + " | ".join(f"frame{n}" for n in range(20))
    asked = looked_for(f"{signature}  {signature}")
    assert len(asked.words) == 10 and asked.words[:4] == ("oom", "|", "large", "frame0")
    assert place_among(signature, "", looked_for(signature)) == 0
    assert place_among(signature, "", looked_for("large oom large")) == 4


def test_the_best_come_first_and_equals_stay_in_their_order() -> None:
    things = [
        Named(name, "", hit("signature", name)) for name in ("a::foo", "foo::b", "foo::a", "foo", "xfoo")
    ]
    found = fitting(things, looked_for("foo"), 4)
    assert [(one.title, one.fit) for one in found] == [
        ("foo", 0),
        ("foo::b", 1),
        ("foo::a", 1),
        ("a::foo", 2),
    ]
    assert [one.exact for one in found] == [True, False, False, False]


def test_a_short_list_has_something_of_every_kind_and_what_begins_so_before_what_holds_it() -> None:
    hits = [hit("version", f"v{n}", 1) for n in range(9)]
    hits += [hit("measure", "m", 2), hit("page", "p", 4), hit("signature", "exact", 0)]
    found = mixed(hits, 5)
    assert [one.title for one in found] == ["exact", "v0", "v1", "v2", "m"]
    assert mixed([], 5) == [] and len(mixed(hits, 50)) == len(hits)
    assert [one.kind for one in mixed(hits, 50)][1:] == sorted(
        (one.kind for one in hits if one.kind != "signature"), key=list(KINDS).index
    )


def hit(kind: Kind, title: str, fit: int = 4) -> Hit:
    return Hit(kind, title, "", "/", fit)


def facts() -> Facts:
    """Versions with usage (one without a name, one of 200 characters), and releases with and without data."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    known = [
        Release("Firefox", "release", "60.0", "20260101000000", at),
        Release("Firefox", "release", "61.0", "", at.replace(day=9)),
    ]
    totals = {
        version: Sums(hours=hours)
        for version, hours in (("59.0", 5.0), ("60.0", 50.0), (None, 1.0), ("9" * 200, 2.0))
    }
    piece = Piece({version: Line({}) for version in totals}, Line({}), totals)
    return Facts(numbers_of([{Place("Firefox", "release", "linux"): piece}]), group(known), [], {}, None)


def test_versions_come_by_usage_and_releases_without_data_after_them() -> None:
    versions, builds = versions_of(facts(), load_registry())
    assert [named.name for named in versions] == ["60.0", "59.0", "9" * 200, "61.0"]
    assert versions[0].hit.href == "/measure/Firefox/release/main_crashes?series=60.0"
    assert [(named.name, named.hit.where) for named in builds] == [
        ("20260101000000", "60.0, Firefox for desktop release")
    ]
    assert builds[0].hit.href.endswith("?group=build_id&series=20260101000000")


def test_measures_applications_and_pages_are_known_by_their_names_and_titles() -> None:
    named = [one for kind in declared_of(facts(), load_registry()) for one in kind] + pages_of()
    for asked, title in (
        ("main_crashes", "Main crashes"),
        ("gpu crash", "GPU process crashes"),
        ("firefox release", "Firefox for desktop release"),
        ("backfill", "History"),
        ("os_name", "Operating system"),
    ):
        titles = [one.title for one in fitting(named, looked_for(asked), 3)]
        assert any(title.split()[0].lower() in one.lower() for one in titles), (asked, titles)
