"""Numbers say how they were computed, and the SQL that they link to gives the number that is shown."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support import crash_rows
from tests.support.release_trains import STRATA_TABLE, tell
from tests.support.server import COMMAND, SOURCES, RunningServer, running_server

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.web import numerals

HOURS = 30
_COMPUTED = re.compile(
    r'(?P<before>[^<>]*)(?:</b>)?<details class="computed" data-sample="computed (?P<of>[^"]*)">(?P<inside>.*?)</details>', re.S
)  # fmt: skip
_LINK = re.compile(r'href="(/sql\?[^"]*)" data-computed-sql')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Simulated pings of some clients, a train of releases with a bad one, and some hundred crash reports."""
    folder = tmp_path_factory.mktemp("computed")
    crash_rows.write(folder / "data", crash_rows.crashes(datetime.now(UTC), 400))
    with running_server(folder) as running:
        corpus = folder / "pings.ndjson"
        _simulate(corpus)
        running.run("import", "pings", str(corpus))
        story = tell(releases=3, clients=20_000, weight=20).worse(3.0)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        now -= timedelta(minutes=now.minute % 5)
        start = now - timedelta(hours=HOURS, minutes=5 * story.candidate.published)
        releases = [*story.predecessors, story.candidate]
        written = write_train(folder / "train", releases, story.channel, STRATA_TABLE, start, name="esr")
        running.run("import", "aggregates", str(written.aggregates))
        running.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
        running.run("import", "releases", str(written.releases))
        yield running


def _simulate(corpus: Path) -> None:
    command = [*COMMAND, "simulate", "corpus", str(corpus), "--light", "--count", "6000"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    subprocess.run(command, env=environment, check=True, capture_output=True)


class Shown:
    """A number of a page, with what is said of it."""

    def __init__(self, match: re.Match[str]) -> None:
        self.number = html.unescape(match["before"]).strip()
        self.of = html.unescape(match["of"])
        self.inside = html.unescape(match["inside"])
        link = _LINK.search(match["inside"])
        self.query = parse_qs(urlsplit(html.unescape(link[1])).query)["query"][0] if link else ""


def numbers(server: RunningServer, path: str) -> list[Shown]:
    page = httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200, page.text[:500]
    return [Shown(match) for match in _COMPUTED.finditer(page.text)]


def only_row(server: RunningServer, one: Shown) -> dict[str, float]:
    assert one.query, one.inside
    rows = server.sql(one.query)
    assert len(rows) == 1
    return rows[0]


def test_every_number_of_a_card(server: RunningServer) -> None:
    found = numbers(server, "/")
    kinds = {
        "per 1,000 usage hours": "per_1000",
        "share of the usage": "share",
        "crash-free users": "crash_free_users",
    }
    printed = {"per_1000": numerals.rate, "share": numerals.percent, "crash_free_users": numerals.percent}
    seen: dict[str, int] = dict.fromkeys(printed, 0)
    for one in found:
        column = next(column for end, column in kinds.items() if one.of.endswith(end))
        row = only_row(server, one)
        assert printed[column](row[column]) == one.number, (one.of, row, one.query)
        assert row["rows"] > 0
        seen[column] += 1
    assert all(count >= 2 for count in seen.values()), seen


def test_what_a_verdict_has_seen(server: RunningServer) -> None:
    as_of = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%dT%H:%MZ}"
    found = numbers(server, f"/verdict/Firefox/esr/102.0/main_crashes?as_of={as_of}")
    ratio, seen = found
    assert "Seen ÷ expected" in ratio.inside and ratio.of == "ratio" and not ratio.query
    row = only_row(server, seen)
    assert numerals.amount(row["seen"]) == seen.number and row["seen"] > 20


@pytest.mark.parametrize(
    "path",
    [
        "/signature?signature=otter::Tail::wag&days=28",
        "/search?product=Otter&version=4.0b&os=Windows+NT",
        "/search?contains=%27%22%3B--&days=3",
        "/signature?signature=otter::Tail::wag&weighted=1&by=build",
    ],
)
def test_counts_of_crashes(server: RunningServer, path: str) -> None:
    found = numbers(server, path)
    if "--" in path:
        assert found == []  # nothing fits, so there is no number
        return
    row = only_row(server, found[0])
    assert found[0].number.split(" ")[0] == numerals.amount(row["crashes"])


def test_the_ranking_of_signatures(server: RunningServer) -> None:
    listed = server.get("/topcrashers", product="Otter", format="json").json()
    (how,) = numbers(server, "/topcrashers?product=Otter")
    rows = server.sql(how.query)
    assert [(row["signature"], row["crashes"]) for row in rows] == [
        (row["signature"], row["count"]) for row in listed["rows"][: len(rows)]
    ]
    assert rows[0]["share"] == pytest.approx(listed["rows"][0]["share"]) and len(rows) > 5


def test_the_link_runs_on_the_sql_page(server: RunningServer) -> None:
    one = next(one for one in numbers(server, "/") if one.of.endswith("usage hours"))
    link = _LINK.search(httpx.get(server.url + "/", headers={"accept": "text/html"}, timeout=60).text)
    assert link is not None and one.query
    page = httpx.get(server.url + html.unescape(link[1]), headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200 and "FROM error_aggregates" in page.text
