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
