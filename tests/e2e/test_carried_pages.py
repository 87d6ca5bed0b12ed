"""From a rate to the signatures that carry it and back, over an installation that was filled by imports."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server import RunningServer
from tests.support.signature_reports import NEWEST, fill, reports
from tests.support.small_channel import SmallChannel, published, release

PAGE = {"accept": "text/html"}
BAD = "ns<T>::bad | 50% & more"
PATH = f"/carried/Firefox/release/{NEWEST + 1}.0/main_crashes"
DAYS = {"start": f"{published(NEWEST):%Y-%m-%d}", "end": f"{published(NEWEST) + timedelta(days=3):%Y-%m-%d}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Main crashes are thrice as many; what is too much has one signature, on Linux."""
    folder: Path = tmp_path_factory.mktemp("carried")
    channel = SmallChannel(folder)
    found = [one for nth in range(NEWEST + 1) for one in reports(nth, "old", 2.0)]
    found += [one for nth in range(NEWEST) for one in reports(nth, BAD, 1.0)]
    found += reports(NEWEST, BAD, 8.0, os_name="Linux")
    fill(channel, found, ratio=3.0)
    planned = release(NEWEST + 1, published_at=datetime(2099, 1, 2, tzinfo=UTC))
    channel.services.releases.put([*channel.releases, planned])
    channel.services.close()
    running = RunningServer(folder, {})
    running.only = "web"
    running.start()
    yield running
    running.stop()


def get(server: RunningServer, path: str, **parameters: Any) -> httpx.Response:
    return httpx.get(server.url + path, params=parameters or None, headers=PAGE, timeout=60)


def test_the_page_names_what_carries_the_rate(server: RunningServer) -> None:
    found = get(server, PATH, format="json").json()
    bad, old = found["rows"]
    assert (bad["signature"], bad["named"], bad["new"]) == (BAD, True, False)
    assert (old["signature"], old["named"]) == ("old", False)
    assert bad["share"] > 0.8 and bad["low"] > 1 and bad["expected"] < bad["observed"] / 4
    assert bad["excess"] == pytest.approx(bad["observed"] - bad["expected"], abs=0.01)
    assert found["basis"]["predecessors"] == NEWEST and found["counted"] > found["observed"]
    assert bad["first_seen"].startswith(f"{published(0):%Y-%m}")
    page = get(server, PATH).text
    assert "ns&lt;T&gt;::bad" in page and "<T>" not in page
    assert "▲ carries it" in page and "Reports are a sample" in page
    assert 'aria-current="page">Verdicts' in page


def test_its_file_says_the_same(server: RunningServer) -> None:
    rows = list(csv.DictReader(io.StringIO(get(server, PATH, format="csv").text)))
    assert [row["signature"] for row in rows] == [BAD, "old"]
    assert float(rows[0]["observed"]) == get(server, PATH, format="json").json()["rows"][0]["observed"]


def test_a_part_is_not_worked_out_and_leads_to_what_is(server: RunningServer) -> None:
    part = get(server, PATH, format="part").text
    assert "No verdict is kept" in part and "<html" not in part and f'href="{PATH}"' in part
    nobody = get(server, "/carried/Nobody/release/main_crashes", format="part")
    assert nobody.status_code == 200 and "No version is known" in nobody.text


def test_users_of_one_system(server: RunningServer) -> None:
    linux = get(server, PATH, os="Linux", format="json").json()
    mac = get(server, PATH, os="Darwin", format="json").json()
    assert linux["rows"][0]["signature"] == BAD and linux["rows"][0]["named"]
    assert linux["observed"] > 5 * mac["observed"] and not any(row["named"] for row in mac["rows"])
    assert {one["title"] for one in linux["systems"]} == {"All systems", "Windows_NT", "Darwin", "Linux"}
    nobody = get(server, PATH, os="<i>BeOS</i>")
    assert nobody.status_code == 200 and "data-no-reports" in nobody.text and "<i>BeOS" not in nobody.text


def test_a_version_without_predecessors_is_shown_without_an_expectation(server: RunningServer) -> None:
    first = get(server, "/carried/Firefox/release/1.0/main_crashes", format="json").json()
    assert not first["compared"] and {row["expected"] for row in first["rows"]} == {None}
    page = get(server, "/carried/Firefox/release/1.0/main_crashes").text
    assert "there is no predecessor to compare with" in page


def test_without_a_version_it_leads_to_the_newest(server: RunningServer) -> None:
    answer = get(server, "/carried/Firefox/release/main_crashes", os="Linux")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?os=Linux")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{PATH}?system=Linux", 400, "unknown_parameter"),
        (f"{PATH}?os=Linux&os=Darwin", 400, "repeated_parameter"),
        (f"{PATH}?format=xml", 400, "bad_parameter"),
        (PATH.replace("main_crashes", "usage_hours"), 400, "not_judged"),
        (PATH.replace("main_crashes", "mian_crashes"), 404, "unknown_measure"),
        (PATH.replace("7.0", "9" * 200), 404, "no_release"),
        (PATH.replace("Firefox", "~"), 404, "no_release"),
        ("/carried/Nobody/release/main_crashes", 404, "no_release"),
    ],
)
def test_wrong_addresses_are_refused_with_a_hint(
    server: RunningServer, path: str, status: int, code: str
) -> None:
    answer = httpx.get(server.url + path, headers={"accept": "application/json"}, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["hint"]


def test_a_signature_says_which_versions_it_moves(server: RunningServer) -> None:
    found = get(server, "/signature", signature=BAD, product="Firefox", format="json", **DAYS).json()
    moved = found["moved"]
    assert (moved["application"], moved["channel"], moved["began_in"]) == ("Firefox", "release", "1.0")
    newest, before = moved["rows"][:2]
    assert (newest["version"], newest["mark"], before["mark"]) == ("7.0", "more", "alike")
    assert newest["low"] > 1 and newest["rate"] > 4 * newest["rate_before"] > 0
    assert newest["share"] > 0.5 > before["share"]
    old = get(server, "/signature", signature="old", product="Firefox", format="json", **DAYS).json()
    assert {row["mark"] for row in old["moved"]["rows"]} == {"alike", ""}


def test_a_signature_says_which_users_it_prefers_and_another_does_not(server: RunningServer) -> None:
    path, of = "/signature/differences", {"product": "Firefox", **DAYS}
    found = get(server, path, signature=BAD, version="7.0", format="json", **of).json()
    linux = next(one for one in found if one["name"] == "os name" and one["value"] == "Linux")
    assert linux["share"] == 1.0 and 0.2 < linux["share_others"] < 0.5
    assert get(server, path, signature="old", version="3.0", format="json", product="Firefox").json() == []
    page = get(server, path, signature=BAD, **of).text
    assert "data-differs" in page and "ns&lt;T&gt;::bad" in page and "<T>" not in page
    part = get(server, path, signature=BAD, format="part", **of).text
    assert "data-differs" in part and "<html" not in part
    for wrong in ({}, {"signature": BAD, "what": "x"}, {"signature": BAD, "format": "csv"}):
        assert get(server, path, **wrong).status_code == 400


def test_the_page_of_a_signature_has_both(server: RunningServer) -> None:
    page = get(server, "/signature", signature=BAD, product="Firefox", **DAYS).text
    assert "Versions it moves" in page and 'data-lazy="/signature/differences?' in page and "<T>" not in page
    assert page.count('class="spark bars"') == NEWEST + 1
    none = get(server, "/signature", signature="nobody::had", product="Firefox", **DAYS)
    assert none.status_code == 200 and "data-moved" not in none.text
    without = get(server, "/signature", signature="~", product="Firefox", **DAYS)
    assert without.status_code == 200


def test_the_pages_of_verdict_and_measure_lead_there(server: RunningServer) -> None:
    assert f'href="{PATH}' in get(server, PATH.replace("/carried/", "/verdict/")).text
    lazy = 'data-lazy="/carried/Firefox/release/main_crashes?format=part"'
    assert lazy in get(server, "/measure/Firefox/release/main_crashes", **DAYS).text
    assert "data-lazy" not in get(server, "/measure/Firefox/release/usage_hours", **DAYS).text
