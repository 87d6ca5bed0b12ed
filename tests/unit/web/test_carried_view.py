"""The page of what carries a rate: rows, shares, what is not known, addresses, and wrong questions."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.support.courses import course_of
from tests.support.release_trains import tell

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.model import Account, Exposure, SignatureBasis, SignatureShare
from missioncontrol.registry.load import load_registry
from missioncontrol.registry.model import Registry
from missioncontrol.web.carried.pages import find_crashes, read_wanted
from missioncontrol.web.carried.source import CarriedFacts, Carrier, by_excess
from missioncontrol.web.carried.view import CSV_HEAD, CarriedView, account_address, build_carried, csv_rows

ODD = "a<b>::c | ~ & é" * 20


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def account() -> Account:
    made = course_of(tell().worse(2.0), 40).account
    exposure = Exposure(made.look.as_of, made.look.age_hours, 1.0, 2000.0, [])
    return msgspec.structs.replace(made, exposure=exposure)


def carrier(
    name: str | None, observed: float, expected: float, named: bool = False, **more: object
) -> Carrier:
    ratio = observed / expected if expected else None
    share = SignatureShare(name, observed, expected, ratio=ratio, new=not expected)
    return Carrier(share, int(observed), named)


def view(
    account: Account, registry: Registry, carriers: list[Carrier], compared: bool = True, system: str = ""
) -> CarriedView:
    reports = sum(one.reports for one in carriers)
    facts = CarriedFacts(account, carriers, SignatureBasis(reports, 3, len(carriers)), compared, [], [], ())
    now = account.look.as_of + timedelta(hours=1)
    return build_carried(facts, registry.measures["main_crashes"], system, {}, now)


def test_rows_say_excess_share_and_rate(account: Account, registry: Registry) -> None:
    page = view(account, registry, [carrier("a", 50, 10, named=True), carrier("b", 20, 20)])
    first, second = page.rows
    assert (first.excess, first.share, second.excess, second.share) == (40, 1.0, 0, 0.0)
    assert (first.of_all, first.rate, first.rate_expected) == (pytest.approx(5 / 7), 25.0, 5.0)
    assert (page.observed, page.expected, page.named, page.weight) == (70, 30, 1, 1.0)
    assert (
        first.verdict_href.endswith("/main_crashes?signature=a")
        and first.reports_href == f"{first.href}#reports"
    )


def test_without_an_excess_nothing_has_a_share_of_it(account: Account, registry: Registry) -> None:
    page = view(account, registry, [carrier("a", 50, 40), carrier("b", 10, 30)])
    assert [row.share for row in page.rows] == [None, None] and page.rows[0].excess == 10


def test_without_predecessors_nothing_is_expected(account: Account, registry: Registry) -> None:
    page = view(account, registry, [carrier("a", 5, 0)], compared=False)
    (row,) = page.rows
    assert (row.expected, row.excess, row.share, row.rate_expected, page.expected) == (None,) * 5
    assert row.rate == 2.5


def test_without_reports_there_are_no_rows(account: Account, registry: Registry) -> None:
    page = view(account, registry, [], compared=False)
    assert (page.rows, page.weight, page.observed) == ([], None, 0)
    bare = msgspec.structs.replace(account, exposure=None)
    page = view(bare, registry, [carrier("a", 5, 0)], compared=False)
    assert page.rows[0].rate is None and page.usage is None


def test_crashes_without_a_signature_and_odd_ones_have_addresses(
    account: Account, registry: Registry
) -> None:
    page = view(account, registry, [carrier(None, 5, 1), carrier(ODD, 4, 1)])
    assert page.rows[0].href.startswith("/signature?signature=~&") and page.rows[0].verdict_href == ""
    assert "<" not in page.rows[1].href + page.rows[1].verdict_href


def test_systems_keep_their_place_in_the_address(account: Account, registry: Registry) -> None:
    systems = [one.where["os_name"] for one in account.slices if set(one.where) == {"os_name"}]
    page = view(account, registry, [carrier("a", 5, 1)], system=systems[0])
    assert page.systems[0].title == "All systems" and len(page.systems) == len(systems) + 1
    assert [one.title for one in page.systems if one.chosen] == [systems[0]]
    assert page.json_url.endswith("format=json") and f"os={systems[0]}" in page.csv_url
    other = view(account, registry, [], system="BeOS")
    assert [one.title for one in other.systems if one.chosen] == ["BeOS"]
    look = msgspec.structs.replace(account.look, slice={"os_name": "Linux", "country": "DE"})
    assert account_address(msgspec.structs.replace(account, look=look)).endswith("/main_crashes?os=Linux")


def test_of_a_system_that_the_verdict_does_not_tell_apart_neither_usage_nor_pings_are_known(
    account: Account, registry: Registry
) -> None:
    page = view(account, registry, [carrier("a", 50, 10)], system="BeOS")
    assert (page.usage, page.counted, page.coverage) == (None, None, None)
    assert (page.rows[0].rate, page.rows[0].rate_expected, page.rows[0].of_all) == (None, None, 1.0)
    everyone = view(account, registry, [carrier("a", 50, 10)])
    assert everyone.usage and everyone.counted and everyone.coverage and everyone.rows[0].rate


def test_the_largest_excess_comes_first_and_what_nobody_had_is_left_out() -> None:
    found = by_excess([carrier("b", 5, 4), carrier("a", 5, 4), carrier("c", 9, 0), carrier("d", 0, 0.01)])
    assert [one.share.signature for one in found] == ["c", "a", "b"]


def test_the_file_has_every_row_and_nothing_where_nothing_is_known(
    account: Account, registry: Registry
) -> None:
    rows = csv_rows(view(account, registry, [carrier(None, 5, 0)], compared=False).rows)
    assert rows[0] == list(CSV_HEAD) and len(rows[1]) == len(CSV_HEAD)
    told = dict(zip(CSV_HEAD, rows[1], strict=True))
    assert (told["signature"], told["expected"], told["ratio"], told["named"]) == ("", "", "", "false")


def test_wrong_questions_are_refused(registry: Registry) -> None:
    assert read_wanted([("os", "Linux"), ("format", "json")]) == "Linux" and read_wanted([("os", "")]) == ""
    for pairs, code in (
        ([("system", "x")], "unknown_parameter"),
        ([("os", "a"), ("os", "a")], "repeated_parameter"),
    ):
        with pytest.raises(BadRequest) as refused:
            read_wanted(pairs)
        assert refused.value.code == code and refused.value.hint
    with pytest.raises(BadRequest) as refused:
        find_crashes("usage_hours", registry)
    assert refused.value.code == "not_judged"
    with pytest.raises(NotFound):
        find_crashes("nope", registry)
