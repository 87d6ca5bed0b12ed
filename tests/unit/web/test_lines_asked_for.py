"""Links of the product to lines of a measure, followed: what they name is what is drawn, and it has data there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from tests.support.build_days import nightly_rows, write_rows
from tests.support.small_channel import SmallChannel, release, rows_of

from missioncontrol.telemetry.import_aggregates import import_aggregates
from missioncontrol.web.app import create_app

END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BETAS = 3
OUT = [END - timedelta(days=3 * (BETAS - n)) for n in range(BETAS)]
"""When the betas were published; pings of all of them say 61.0."""
LIFE_H = {"7.0": (200, 150), "8.0": (300, 60), "9.0": (70, 70)}
"""Versions of release -> hours ago that each was published, and for how long it was used."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Betas by their builds, versions of release that are out of use, and a nightly build each day."""
    folder = tmp_path_factory.mktemp("lines")
    channel = SmallChannel(folder)
    services = channel.services
    for n, (version, (ago, hours)) in enumerate(LIFE_H.items()):
        published = END - timedelta(hours=ago)
        channel.take(moved(rows_of(n, version, hours=hours, build_id=f"r{n}"), published))
        services.releases.put([release(n, version, build_id=f"r{n}", published_at=published)])
    for n, published in enumerate(OUT):
        rows = rows_of(
            n, "61.0", hours=72, channel="beta", build_id=f"beta-build-{n + 1}", main_crashes=n + 1
        )
        channel.take(moved(rows, published))
        name, build = f"61.0b{n + 1}", f"beta-build-{n + 1}"
        services.releases.put([release(n, name, channel="beta", build_id=build, published_at=published)])
    rows = write_rows(folder / "rows.ndjson", nightly_rows(END, 20))
    import_aggregates(services.registry(), services.writer, "error_aggregates", rows)
    with TestClient(create_app(services), base_url="http://localhost") as made:
        yield made
    services.close()


def moved(rows: list[dict[str, Any]], start: datetime) -> list[dict[str, Any]]:
    """The rows from another instant on."""
    shift = start - min(row["window_start"] for row in rows)
    return [{**row, "window_start": row["window_start"] + shift} for row in rows]


def drawn(client: TestClient, href: str) -> dict[str, float | None]:
    """The lines that the page of a link draws, with their sums; it has no line that lacks data."""
    found = answer(client, href)
    assert found["absent"] == [], href
    return {line["label"]: line["per"] for line in found["lines"] if line["drawn"]}


def answer(client: TestClient, href: str) -> dict[str, Any]:
    told = client.get(f"{href}&format=json")
    assert told.status_code == 200, told.text
    found: dict[str, Any] = told.json()
    return found


def hits(client: TestClient, asked: str, kind: str) -> list[dict[str, Any]]:
    results = client.get("/api/v1/find", params={"q": asked}).json()["results"]
    return [one for one in results if one["kind"] == kind]


def test_every_build_of_the_list_of_builds_leads_to_itself(client: TestClient) -> None:
    page = client.get("/builds/Firefox/nightly", headers={"accept": "text/html"}).text
    links = [html.unescape(found) for found in re.findall(r'href="(/measure/[^"]*series=[^"]*)"', page)]
    assert len(links) >= 19
    for link in links:
        (build,) = dict(parse_qs(urlsplit(link).query))["series"]
        sums = drawn(client, link)
        assert list(sums) == [build] and sums[build]


@pytest.mark.parametrize("version", LIFE_H)
def test_a_version_that_is_searched_for_is_drawn_where_it_has_data(client: TestClient, version: str) -> None:
    (hit,) = hits(client, version, "version")
    assert list(drawn(client, hit["href"])) == [version]
    (build,) = hits(client, f"r{list(LIFE_H).index(version)}", "build")
    assert list(drawn(client, build["href"])) == [build["title"]]


def test_a_range_without_the_version_says_so_and_leads_to_where_it_has_data(client: TestClient) -> None:
    found = answer(client, "/measure/Firefox/release/main_crashes?series=8.0&range=24h")
    assert [line["label"] for line in found["lines"] if line["drawn"]] == ["8.0"]
    (absent,) = found["absent"]
    assert absent["words"] == "No data of 8.0 in this range."
    assert drawn(client, absent["href"])["8.0"]
    page = client.get(
        "/measure/Firefox/release/main_crashes?series=8.0&range=24h", headers={"accept": "text/html"}
    )
    assert "No data of 8.0 in this range." in page.text


def test_betas_are_lines_by_the_builds_that_they_were_published_as(client: TestClient) -> None:
    beta = "/measure/Firefox/beta/main_crashes"
    assert list(drawn(client, f"{beta}?series=61.0b3")) == ["61.0b3"]
    found = answer(client, f"{beta}?range=14d")
    told = {line["label"]: round(line["rate"]) for line in found["lines"]}
    assert told == {"61.0b3": 30, "61.0b2": 20, "61.0b1": 10}  # and no 61.0, which all of their pings say
    (daily,) = answer(client, f"{beta}?range=14d&interval=day&series=61.0b1")["chart"]["series"]
    assert sum(value or 0 for value in daily["value"]) == 72 * 3 * 1


def test_a_beta_begins_with_its_publication_and_has_betas_before_it(client: TestClient) -> None:
    query = "time=release&range=48h&series=61.0b3&series=61.0b1&band=on"
    found = answer(client, f"/measure/Firefox/beta/main_crashes?{query}")
    lines = [line for line in found["lines"] if line["drawn"]]
    assert [(line["label"], line["started_by"]) for line in lines] == [
        ("61.0b3", "release"),
        ("61.0b1", "release"),
    ]
    assert [datetime.fromisoformat(line["started"]) for line in lines] == [OUT[2], OUT[0]]
    assert found["notes"] == ["No band: 2 accepted releases before 61.0b3 are known, and 3 are needed."]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("version=61.0b2", ["61.0b2"]),
        ("version=61.0", ["61.0b3", "61.0b2", "61.0b1"]),
        ("version=61.0b1&version=61.0b2", ["61.0b2", "61.0b1"]),
    ],
)
def test_a_filter_on_versions_takes_both_names_of_a_beta(
    client: TestClient, query: str, labels: list[str]
) -> None:
    found = answer(client, f"/measure/Firefox/beta/main_crashes?range=14d&{query}")
    assert [line["label"] for line in found["lines"]] == labels


def test_two_betas_are_compared_since_their_publication(client: TestClient) -> None:
    query = "range=48h&time=release&a.version=61.0b3&b.version=61.0b1"
    found = answer(client, f"/measure/Firefox/beta/main_crashes?{query}")
    assert found["ratio"]["ratio"] == pytest.approx(3.0)


def test_the_sql_of_a_beta_gives_its_numbers(client: TestClient) -> None:
    page = client.get(
        "/measure/Firefox/beta/main_crashes?range=14d&series=61.0b2", headers={"accept": "text/html"}
    )
    links = [html.unescape(link) for link in re.findall(r'href="(/sql\?[^"]*)"', page.text)]
    (asked, *_) = [parse_qs(urlsplit(link).query)["query"][0] for link in links if "published" not in link]
    told = client.post("/api/v1/sql", json={"query": asked}).json()
    rows = {row["version"]: row for row in told["results"]}
    assert rows["61.0b2"]["numerator"] == 72 * 3 * 2 and "61.0" not in rows


@pytest.mark.parametrize("version", ["61.0b1", "61.0b3"])
def test_a_beta_that_is_searched_for_is_drawn(client: TestClient, version: str) -> None:
    (hit,) = hits(client, version, "version")
    assert list(drawn(client, hit["href"])) == [version]


@pytest.mark.parametrize("ago", [0, 1, 19])
def test_a_build_that_is_no_release_is_found_by_its_data(client: TestClient, ago: int) -> None:
    build = f"{END - timedelta(days=ago):%Y%m%d}100000"
    known = [one["title"] for one in hits(client, f"{END - timedelta(days=ago):%Y%m%d}", "build")]
    if ago == 0 and END.hour < 14:
        assert known == []  # of today's build nothing has come yet
        return
    assert known == [build]
    (hit,) = hits(client, build, "build")
    assert hit["fit"] == 0 and hit["where"] == "Firefox for desktop nightly"
    assert list(drawn(client, hit["href"])) == [build]


def test_builds_are_found_by_a_day_at_least_and_the_newest_come_first(client: TestClient) -> None:
    assert hits(client, f"{END:%Y%m}", "build") == []
    days = [f"{END - timedelta(days=n):%Y%m%d}" for n in range(1, 4)]
    found = [one["title"] for day in days for one in hits(client, day, "build")]
    assert found == [f"{day}100000" for day in days]
