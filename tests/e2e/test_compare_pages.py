"""Build days and experiments over a running server: pages, their JSON and CSV, and addresses that are wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.support.build_days import experiment_rows, nightly_rows, write_rows
from tests.support.server import RunningServer

HOSTILE = "<script>alert(1)</script>&\"'" + "x" * 150
LONG = "150." + "0" * 190


@contextmanager
def web(folder: Path) -> Iterator[RunningServer]:
    """The pages alone: rows are imported by the command line."""
    running = RunningServer(folder, {})
    running.only = "web"
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder, end = tmp_path_factory.mktemp("compare"), datetime.now(UTC)
    hostile = nightly_rows(end, 3, channel=HOSTILE, version=LONG)
    unnamed = nightly_rows(end, 2, channel=None)
    rows = [*nightly_rows(end, 15, {1: 4.0}, missing=[0]), *hostile, *unnamed]
    odd = experiment_rows(end, {HOSTILE: 1.0, "b": 1.0}, days=1, name=HOSTILE)
    with web(folder) as running:
        running.run("import", "aggregates", str(write_rows(folder / "rows.ndjson", rows)))
        tried = [*experiment_rows(end, {"control": 1.0, "treatment": 2.5}, days=3), *odd]
        file = str(write_rows(folder / "tried.ndjson", tried))
        running.run("import", "aggregates", "--table", "experiment_aggregates", file)
        yield running


def page(server: RunningServer, path: str) -> httpx.Response:
    return httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_newest_build_is_told_to_be_worse_in_page_json_and_csv(server: RunningServer) -> None:
    answer = page(server, "/builds/Firefox/nightly")
    assert answer.status_code == 200 and 'data-answer="worse"' in answer.text
    told = server.get("/builds/Firefox/nightly", format="json").json()
    assert told["answer"] == "worse" and " is worse than that of " in told["heading"]
    newest = told["days"][0]
    assert newest["before"]["low"] < 4.0 < newest["before"]["high"] and newest["before"]["low"] > 1
    assert len(told["days"]) == 14
    rows = table(server.get("/builds/Firefox/nightly", format="csv"))
    assert rows[0]["before_answer"] == "worse" and float(rows[0]["before_ratio"]) == newest["before"]["ratio"]
    assert rows[0]["builds"] == newest["builds"][0]["build_id"]


def test_its_links_lead_somewhere(server: RunningServer) -> None:
    text = page(server, "/builds/Firefox/nightly").text
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"#]*)"', text)}
    wanted = [next(link for link in sorted(links) if link.startswith(start)) for start in
              ("/measure/Firefox/nightly/main_crashes?group=build_id&series", "/topcrashers?", "/verdicts?")]  # fmt: skip
    for link in wanted:
        assert page(server, link).status_code == 200, link


def test_a_branch_that_crashes_is_told_in_page_json_and_csv(server: RunningServer) -> None:
    listed = {one["experiment"]: one for one in server.get("/experiments", format="json").json()}
    assert set(listed) == {"pref-flip-tabs", HOSTILE}
    assert {row["branch"] for row in table(server.get("/experiments", format="csv"))} == {
        "control", "treatment", "b", HOSTILE,
    }  # fmt: skip
    answer = page(server, "/experiments/pref-flip-tabs")
    assert answer.status_code == 200 and "1 of 2 comparisons differ" in answer.text
    rows = table(server.get("/experiments/pref-flip-tabs", format="csv"))
    worse = next(row for row in rows if row["measure"] == "main_crashes" and row["branch"] == "treatment")
    assert worse["answer"] == "more" and float(worse["low"]) < 2.5 < float(worse["high"])
    numbers = server.get("/experiments/pref-flip-tabs", format="json").json()["numbers"]
    assert numbers["comparisons"] == 2 and numbers["timelines"][0]["points"][-1]["ratio"] > 1.5


def test_names_with_markup_and_without_are_shown_as_they_are(server: RunningServer) -> None:
    # In a path a slash is written as ~1.
    path = quote(HOSTILE.replace("/", "~1"), safe="")
    for at in (f"/builds/Firefox/{path}", f"/experiments/{path}", "/experiments", "/", "/builds/Firefox/~"):
        answer = page(server, at)
        assert answer.status_code == 200, at
        assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in page(server, f"/experiments/{path}").text
    assert LONG in page(server, f"/builds/Firefox/{path}").text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/builds/Firefox/nightly?nonsense=1", 400, "unknown_parameter"),
        ("/builds/Firefox/nightly?platform=mac&platform=mac", 400, "repeated_parameter"),
        ("/builds/Firefox/nightly?measure=nothing", 400, "unknown_measure"),
        ("/experiments?x=1", 400, "unknown_parameter"),
        ("/experiments/pref-flip-tabs?against=nobody", 400, "unknown_branch"),
        ("/experiments/nothing", 404, "unknown_experiment"),
    ],
)
def test_a_wrong_address_is_refused_with_a_hint(
    server: RunningServer, path: str, status: int, code: str
) -> None:
    answer = server.get(path)
    assert answer.status_code == status
    said = answer.json()
    assert said["code"] == code and said["hint"]


def test_a_channel_without_builds_says_so(server: RunningServer) -> None:
    answer = page(server, "/builds/Nobody/nightly")
    assert answer.status_code == 200 and "No build of the last 30 days" in answer.text


def test_what_arrives_later_is_in_the_next_answer(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("later")
    rows = nightly_rows(datetime.now(UTC), 2, application="Late")
    before = server.get("/builds/Late/nightly", format="json").json()
    assert before["days"] == []
    for n, part in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        server.run("import", "aggregates", str(write_rows(folder / f"{n}.ndjson", part)))
        told = server.get("/builds/Late/nightly", format="json").json()
        hours = sum(day["hours"] for day in told["days"])
        assert hours == pytest.approx(sum(row["usage_hours"] for row in rows[: len(rows) // (2 - n)]))


def test_an_empty_installation_teaches(tmp_path_factory: pytest.TempPathFactory) -> None:
    with web(tmp_path_factory.mktemp("empty")) as empty:
        assert "Nothing has arrived yet" in page(empty, "/builds/Firefox/nightly").text
        assert "No experiment has data" in page(empty, "/experiments").text
        assert empty.get("/builds/Firefox/nightly", format="csv").status_code == 200
