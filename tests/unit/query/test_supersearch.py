"""SuperSearch's language: operators by kind of field, how repeats combine, dates, sorting, paging, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.crash_lake import CrashLake

from missioncontrol.errors import BadRequest, Forbidden

OWN = """
[field.own_team]
description = "Team."
annotation = "Team"
access = "public"
search = "keyword"
[field.own_tags]
description = "Tags."
annotation = "Tags"
type = "list"
access = "public"
search = "keyword"
[field.own_score]
description = "Score."
annotation = "Score"
type = "number"
access = "public"
search = "number"
[field.own_secret]
description = "Secret."
annotation = "Secret"
search = "text"
[field.theme]
access = "protected"
"""
A: dict[str, Any] = {
    "signature": "A", "product": "Notes", "version": "57.0b1", "uptime": 10, "startup_crash": True, "hours_ago": 1,
    "addons": ["x@y:1", "z@y:2", "x@y:1"], "app_notes": "The Quick brown-fox jumped", "build": "20261101000000",
    "url": "https://example.org/a?b=c", "client_crash_date": "2026-11-20T10:00:00+00:00", "uptime_ts": 1.5,
    "own_team": "red", "own_tags": ["one", "two"], "own_score": 2.5, "own_secret": "Blue Moon", "theme": "dark",
    "reason": "SIGSEGV / SEGV_MAPERR", "throttle_rate": 0.1,
}  # fmt: skip
B: dict[str, Any] = {
    "signature": "B", "product": "Notes", "version": "57.0", "uptime": 20, "startup_crash": False, "hours_ago": 2,
    "addons": ["z@y:2"], "build": "20261102000000", "own_score": -1, "reason": "SIGABRT", "uptime_ts": 20.0,
    "own_team": "blue", "app_notes": "quick", "own_tags": ["two"],
}  # fmt: skip
C: dict[str, Any] = {
    "signature": "C", "product": "Mail", "version": "57.0b12", "uptime": 30, "hours_ago": 3, "reason": "<T as X>::f",
}  # fmt: skip
D: dict[str, Any] = {
    "signature": "D",
    "product": "notes",
    "version": "157.0b1",
    "hours_ago": 24 * 10,
    "build": "9",
    "address": "ü%_\\'",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path_factory.mktemp("search") / "data", OWN)
    lake.add(A, B)
    lake.add(C, D)
    yield lake
    lake.close()


EVER = "date=>=2020-01-01"


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        # keywords
        ("product=Notes", "A B"), ("product==Notes", "A B"), ("product=!Notes", "C D"), ("product=note", ""),
        ("product=~ot", "A B D"), ("product=~OT", ""), ("product=!~ot", "C"), ("product=^No", "A B"),
        ("product=!^No", "C D"), ("product=$tes", "A B D"), ("product=!$tes", "C"), ("product=@N.*s", "A B"),
        ("product=@ote", ""), ("product=!@N.*s", "C D"), ("product=@[Nn]otes|Mail", "A B C D"),
        ("build=__null__", "C"), ("build=!__null__", "A B D"), ("build=>20261101000000", "B"),
        ("build=>=20261101000000", "A B"), ("build=<20261101000000", "D"), ("build=<=9", "D"),
        ("reason=<T as X>::f", "C"), ("reason=~<T", "C"), ("reason=^SIG", "A B"), ("address=~%_\\'", "D"),
        ("address=ü%_\\'", "D"), ("address=~_ü", ""),
        # versions
        ("version=57.0b", "A C"), ("version=57.0b1", "A"), ("version=!57.0b", "B D"), ("version==57.0b", ""),
        # repeats
        ("product=Notes product=Mail", "A B C"), ("product=!Notes product=!Mail", "D"),
        ("product=!~ot product=!~ai", ""), ("product=~ot product=!^N", "D"), ("product=Notes signature=B", "B"),
        ("uptime=>10 uptime=<30", "B"), ("uptime=10 uptime=30", "A C"), ("uptime=10 uptime=>15", ""),
        # texts
        ("app_notes=quick", "A B"), ("app_notes=QUICK fox", "A"), ("app_notes=qui", ""), ("app_notes=~UICK b", "A"),
        ("app_notes=^the q", "A"), ("app_notes=$JUMPED", "A"), ("app_notes==quick", "B"), ("app_notes=!quick", "C D"),
        ("app_notes=@The.*d", "A"), ("app_notes=__null__", "C D"),
        # numbers
        ("uptime=10", "A"), ("uptime==10", "A"), ("uptime=!10", "B C D"), ("uptime=>=20", "B C"), ("uptime=<20", "A"),
        ("uptime=<=20", "A B"), ("uptime=!>15", "A D"), ("uptime=__null__", "D"), ("uptime_ts=1.5", "A"),
        ("uptime_ts=>1.4999", "A B"), ("uptime_ts=20", "B"), ("uptime=99999999999999999999", ""),
        # truths
        ("startup_crash=__true__", "A"), ("startup_crash=!__true__", "B C D"), ("startup_crash=true", "A"),
        ("startup_crash=F", "B"), ("startup_crash=__null__", "C D"), ("startup_crash=!false", "A C D"),
        # lists
        ("addons=z@y:2", "A B"), ("addons==x@y:1", "A"), ("addons=~x@", "A"), ("addons=!x@y:1", "B C D"),
        ("addons=^z", "A B"), ("addons=$:1", "A"), ("addons=@.@y:1", "A"), ("addons=__null__", "C D"),
        ("addons=!~x@ addons=!__null__", "B"),
        # dates
        ("client_crash_date=>=2026-11-20", "A"), ("client_crash_date=<2026-11-20", ""),
        ("client_crash_date=>2026-11-20T10:00:00", ""), ("client_crash_date=<=2026-11-20T12:00:00+02:00", "A"),
        ("client_crash_date=!__null__", "A"),
        # protected, and the user's own
        ("url=~example.org", "A"), ("url=!__null__", "A"), ("theme=dark", "A"), ("own_team=red", "A"),
        ("own_team=!red", "B C D"), ("own_team=__null__", "C D"), ("own_tags=two", "A B"), ("own_tags=!one", "B C D"),
        ("own_tags=~on", "A"), ("own_score=>0", "A"), ("own_score=-1", "B"), ("own_secret=moon", "A"),
        # Socorro's names
        ("build_id=20261102000000", "B"),
    ],
)  # fmt: skip
def test_operators(lake: CrashLake, pairs: str, found: str) -> None:
    # Texts with spaces in them: a pair begins at a name and a =.
    given = pairs.replace(" product=", "\nproduct=").replace(" uptime=", "\nuptime=")
    given = given.replace(" addons=", "\naddons=").replace(" signature=", "\nsignature=")
    assert lake.signatures(EVER, *given.split("\n")) == found


@pytest.mark.parametrize(
    ("dates", "found"),
    [
        ([], "A B C"),
        (["date=>=2026-11-26T11:00:00"], "A"),
        (["date=>2026-11-26T10:00:00"], "A"),
        (["date=>2026-11-26 09:59:59", "date=<2026-11-26T11:00:00+00:00"], "B"),
        (["date=<2026-11-26T11:00:00"], "B C"),
        (["date=<2026-11-17"], "D"),
        (["date=<2026-11-16T12:00:00"], ""),
        (["date=<=2026-11-16T12:00:00"], "D"),
        (["date=>=2026-11-16"], "A B C D"),
        (["date=>=20261116", "date=<20261117"], "D"),
        (["date=!>2026-11-26T10:00:00"], "B C"),
    ],
)
def test_dates(lake: CrashLake, dates: list[str], found: str) -> None:
    assert lake.signatures(*dates) == found


@pytest.mark.parametrize(
    ("code", "pair"),
    [
        ("unknown_field", "nonsense=1"), ("unknown_field", "_columns=nonsense"), ("unknown_field", "_facets=nonsense"),
        ("unknown_field", "_sort=-nonsense"), ("unknown_field", "_aggs.product=nonsense"),
        ("unknown_field", "_aggs.nonsense=product"), ("unknown_field", "_histogram.nonsense=product"),
        ("unknown_field", "_histogram_interval.nonsense=1"),
        ("unknown_field", "_facets=_cardinality.nonsense"), ("unknown_field", "revision=0"),
        ("unknown_field", "fields=x"), ("unknown_parameter", "_colums=uuid"), ("unknown_parameter", "_aggs=product"),
        ("bad_value", "product="), ("bad_value", "product=!"), ("bad_value", "product=~"), ("bad_value", "uptime=ten"),
        ("bad_value", "uptime=1e999"), ("bad_value", "startup_crash=maybe"), ("bad_value", "date=>=yesterday"),
        ("bad_value", "date=>=2026-13-01"), ("bad_value", "app_notes=--"), ("bad_value", "product=" + "x" * 10_001),
        ("bad_operator", "uptime=~1"), ("bad_operator", "date=2026-11-26"), ("bad_operator", "startup_crash=~t"),
        ("bad_operator", "product=__true__"), ("bad_regex", "product=@("), ("bad_regex", "addons=@[z-a]"),
        ("bad_number", "_results_number=1001"), ("bad_number", "_results_number=-1"), ("bad_number", "_facets_size=x"),
        ("bad_number", "_facets_size=10001"), ("bad_number", "_results_offset=1.5"), ("not_sortable", "_sort=addons"),
        ("bad_facet", "_facets=_nonsense.product"), ("bad_facet", "_histogram.product=version"),
        ("bad_facet", "_aggs._cardinality.version=product"), ("bad_facet", "_aggs.product.version.build.reason=url"),
    ],
)  # fmt: skip
def test_refusals(lake: CrashLake, code: str, pair: str) -> None:
    with pytest.raises(BadRequest) as refused:
        lake.search(pair)
    assert refused.value.code == code
    assert refused.value.message


def test_bad_intervals(lake: CrashLake) -> None:
    for pairs in (
        ["_histogram.date=product", "_histogram_interval.date=fortnight"],
        ["_histogram.date=product", "_histogram_interval.date=0d"],
        ["_histogram.uptime=product", "_histogram_interval.uptime=-1"],
        ["_histogram.uptime=product", "_histogram_interval.uptime=nan"],
    ):
        with pytest.raises(BadRequest) as refused:
            lake.search(*pairs)
        assert refused.value.code == "bad_interval"


@pytest.mark.parametrize(
    "pair",
    [
        "url=~example", "url=~no such thing", "url=__null__", "_columns=url", "_sort=url", "_sort=-url", "_facets=url",
        "_facets=_cardinality.url", "_aggs.url=product", "_aggs.product=url", "_aggs.product.url=version",
        "_histogram.date=url", "_histogram.date=_cardinality.url", "_cardinality.url=1", "_histogram.phc_usable_size=url",
        "own_secret=moon", "theme=dark", "_aggs.product=_cardinality.own_secret", "_columns=email",
        "_histogram_interval.url=1",
    ],
)  # fmt: skip
def test_protected_fields_are_refused_whatever_there_is(lake: CrashLake, pair: str) -> None:
    lake.search(pair)  # the others may
    refusals = set()
    for more in (["product=Notes"], ["product=Nothing"], ["_facets_size=0", "_results_number=0"]):
        with pytest.raises(Forbidden) as refused:
            lake.search(pair, *more, protected=False)
        refusals.add((refused.value.code, refused.value.message))
    assert len(refusals) == 1


def test_columns_and_what_a_crash_lacks(lake: CrashLake) -> None:
    names = [
        "uuid",
        "date",
        "addons",
        "uptime",
        "startup_crash",
        "url",
        "own_tags",
        "own_score",
        "client_crash_date",
    ]
    found = lake.search("signature=A", *(f"_columns={n}" for n in [*names, "build_id"])).hits
    assert found == [
        {
            "uuid": "00000001-0000-4000-8000-000000261126", "date": "2026-11-26T11:00:00+00:00",
            "addons": ["x@y:1", "z@y:2", "x@y:1"], "uptime": 10, "startup_crash": True,
            "url": "https://example.org/a?b=c", "own_tags": ["one", "two"], "own_score": 2.5,
            "client_crash_date": "2026-11-20T10:00:00+00:00", "build_id": "20261101000000",
        }
    ]  # fmt: skip
    lacking = lake.search("signature=C", *(f"_columns={n}" for n in names[2:])).hits
    assert lacking == [{**dict.fromkeys(names[2:]), "uptime": 30}]
    default = lake.search("signature=C").hits[0]
    assert list(default) == ["uuid", "date", "signature", "product", "version"]


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ([], "ABCD"),
        (["_sort=date"], "DCBA"),
        (["_sort=-uptime"], "CBAD"),
        (["_sort=uptime"], "ABCD"),
        (["_sort=product", "_sort=-version"], "CABD"),
        (["_sort=-product"], "DABC"),
    ],
)
def test_sorting(lake: CrashLake, sort: list[str], found: str) -> None:
    hits = lake.search(EVER, *sort).hits
    assert "".join(hit["signature"] for hit in hits) == found


def test_pages_fit_together(lake: CrashLake) -> None:
    for sort in ("date", "product"):
        pages = [
            lake.search(EVER, f"_sort={sort}", "_results_number=1", f"_results_offset={n}") for n in range(5)
        ]
        assert {page.total for page in pages} == {4}
        assert [len(page.hits) for page in pages] == [1, 1, 1, 1, 0]
        assert len({page.hits[0]["uuid"] for page in pages[:4]}) == 4


def test_the_query_can_be_asked_for(lake: CrashLake) -> None:
    searching = lake.services.crash_search
    said = searching.query_of(searching.parse([("signature", "~a"), ("_return_query", "1")], True))
    assert " FROM crashes " in said["hits"]["sql"]
    assert said["counts"]["values"] == ("a",)


@pytest.mark.parametrize(
    "pairs",
    [
        ["date=>=0001-01-01"], ["date=<=9999-12-31T23:59:59"], ["date=>=2026-11-26T00:00:00+14:00"],
        ["product=a\x00b"], ["product=\udc80"], ["signature=~'; DROP TABLE x; --"], ["uptime=>1e30"],
        ["uptime=-99999999999999999999999999"], ["build=>99999999999999999999999999"], ["addons=\",\""],
        ["addons=a\\"], ["app_notes='"], ["_histogram.uptime=product", "_histogram_interval.uptime=0.0001"],
        ["_histogram.oom_allocation_size=product", "_histogram_interval.oom_allocation_size=1e17"],
        ["_facets=fields_nonsense' OR 1=1"], ["_columns=uuid; SELECT 1"],
    ],
)  # fmt: skip
def test_strange_values_are_answered_or_refused(lake: CrashLake, pairs: list[str]) -> None:
    try:
        assert lake.search(*pairs).total >= 0
    except BadRequest as refused:
        assert refused.code in ("unknown_field", "bad_value")


def test_numbers_at_the_ends(tmp_path: Any) -> None:
    lake = CrashLake(tmp_path / "data", OWN)
    lake.add({"signature": "A", "oom_allocation_size": 2**63 - 1}, {"signature": "B", "own_score": 1e300})
    assert lake.signatures("oom_allocation_size=9223372036854775807") == "A"
    assert lake.signatures("own_score=>1e299") == "B"
    found = lake.search("_histogram.oom_allocation_size=signature", "_histogram.own_score=signature").facets
    assert len(found["histogram_own_score"]) == 1
    lake.close()
