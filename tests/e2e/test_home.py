"""The first page over a running server: trains that are imported, one of them bad, which comes first and is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import judged_train
from tests.support.release_trains import Story
from tests.support.server import RunningServer, running_server

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.verdict.tables import Strata

TRAINS = {"release": judged_train.story(3.0, "Windows_NT"), "beta": judged_train.story()}
HOURS = 30
PATIENCE_S = 120


def page(server: RunningServer, **parameters: str) -> httpx.Response:
    headers = {"accept": "text/html"}
    return httpx.get(server.url + "/", params=parameters or None, headers=headers, timeout=60)


def bring(server: RunningServer, folder: Path, told: Story, channel: str, now: datetime) -> None:
    """Import a train whose candidate is `HOURS` old now."""
    releases, pings = judged_train.at_age(told, 12 * HOURS)
    start = now - timedelta(hours=HOURS, minutes=5 * told.candidate.published)
    strata = Strata(("os_name",), tuple((system,) for system in judged_train.SYSTEMS))
    written = write_train(folder / channel, releases, pings, strata, start, name=channel)
    server.run("import", "aggregates", str(written.aggregates))
    server.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
    server.run("import", "releases", str(written.releases))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A channel whose newest version is bad on Windows, and one with which nothing is wrong."""
    folder = tmp_path_factory.mktemp("home")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 5)
    with running_server(folder) as running:
        assert "Point a client here" in page(running).text
        for channel, told in TRAINS.items():
            bring(running, folder, told, channel, now)
        running.wait_until(lambda: verdicts(running) >= {"release", "beta"}, PATIENCE_S, 0.5)
        running.wait_until(lambda: "data-need" in page(running).text, PATIENCE_S, 0.5)
        running.wait_until(lambda: len(found(running)["attention"]) >= 1, 30, 1.0)
        yield running


def verdicts(server: RunningServer) -> set[str]:
    return {one["channel"] for one in server.get("/api/v1/verdicts").json()["verdicts"]}


def found(server: RunningServer, **parameters: str) -> dict[str, Any]:
    answer: dict[str, Any] = page(server, format="json", **parameters).json()
    return answer


def test_the_bad_train_is_first_and_named_in_the_line_at_the_top(server: RunningServer) -> None:
    view = found(server)
    version = judged_train.version(TRAINS["release"])
    assert view["attention"][0]["text"].startswith(
        f"Firefox release {version}: main crashes worse on Windows since "
    )
    cards = [card for section in view["sections"] for card in section["cards"]]
    first = cards[0]
    assert (first["channel"], first["platform"], first["need"]) == ("release", "windows", "worse")
    assert first["said"][0]["ratio"] > 2 and first["said"][0]["low"] > 1.2
    needs = {(card["channel"], card["platform"]): card["need"] for card in cards}
    assert needs.pop(("release", "mac")) == needs.pop(("release", "linux")) == "elsewhere"
    del needs[("release", "windows")]
    # Nothing is wrong with the other channel, and at that age little can be told for sure.
    assert needs.keys() == {("beta", platform) for platform in ("windows", "mac", "linux")}
    assert set(needs.values()) <= {"same", "better", "too-early"}
    assert len(cards) == 6 and all(card["version"] == version for card in cards)
    assert first["before"] and first["rate"] > 2 * first["rate_before"]
    assert 0.05 < first["share"] < 0.9 and abs(first["age_hours"] - HOURS) < 0.5
    shown = page(server)
    assert shown.text.index(view["attention"][0]["text"]) < shown.text.index(
        'data-card="windows" data-need="worse"'
    )


def test_text_and_filter_are_in_the_address(server: RunningServer) -> None:
    text = page(server, format="text")
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.splitlines()[1].startswith("▲ Firefox release")
    beta = found(server, channel="beta")
    assert {section["channel"] for section in beta["sections"]} == {"beta"} and beta["attention"] == []
    assert "▲" not in page(server, channel="beta", format="text").text
    assert "Nothing matches" in page(server, application="~e").text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("chanel=beta", "unknown_parameter"),
        ("channel=a&channel=b", "repeated_parameter"),
        ("format=xml", "bad_parameter"),
        (f"channel={'x' * 5000}", ""),
        ("channel=%00%3Cscript%3Ealert(1)%3C/script%3E", ""),
    ],
)
def test_parameters_of_any_kind(server: RunningServer, query: str, code: str) -> None:
    answer = httpx.get(f"{server.url}/?{query}", headers={"accept": "text/html"}, timeout=60)
    assert answer.status_code == (400 if code else 200) and code in answer.text
    assert "<script>alert" not in answer.text


def test_a_reader_that_has_the_page_is_not_sent_it_again(server: RunningServer) -> None:
    tags = [page(server).headers["etag"]]

    def settled() -> bool:  # what arrives while a server starts renews the page
        tags.append(page(server).headers["etag"])
        return tags[-1] == tags[-2]

    server.wait_until(settled)
    tag = tags[-1]
    again = httpx.get(server.url + "/", headers={"accept": "text/html", "if-none-match": tag}, timeout=60)
    assert again.status_code == 304
