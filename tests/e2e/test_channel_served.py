"""The page of a channel over a running server: what was imported, verdicts and clients in it, its twins, odd addresses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support import pings
from tests.support.courses import course_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import STRATA_TABLE, tell
from tests.support.server import RunningServer

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.simulate.trains.world import STRATA

PATH = "/channel/Firefox/release"
HOURS = 30
NEWEST, BEFORE = "102.0", "101.0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two harmless releases, and 102.0 of 30 hours ago, three times as bad on Linux; its verdict; pings of 3 clients."""
    folder = tmp_path_factory.mktemp("channel-served")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 5)
    linux = np.array([stratum[0] == "Linux" for stratum in STRATA])
    story = tell(releases=3, clients=60_000, weight=30).worse(4.0, linux)
    keep_courses(folder / "data", [moved(course_of(story, HOURS), now, NEWEST)])
    start = now - timedelta(hours=HOURS, minutes=5 * story.candidate.published)
    written = write_train(
        folder / "train", [*story.predecessors, story.candidate], story.channel, STRATA_TABLE, start
    )
    running = RunningServer(folder, {})
    running.only = "web"
    running.start()
    try:
        running.run("import", "aggregates", str(written.aggregates))
        running.run("import", "releases", str(written.releases))
        running.run("import", "pings", str(clients(folder, now - timedelta(hours=2))))
        yield running
    finally:
        running.stop()


def clients(folder: Path, received: datetime) -> Path:
    """Two clients with plugin crashes, and one without."""
    path = folder / "clients.ndjson"
    lines = []
    for n, crashes in enumerate((3, 1, 0)):
        values = {"payload__keyedHistograms__SUBPROCESS_CRASHES_WITH_DUMP__plugin__values__0": crashes}
        ping = pings.main_ping(clientId=f"c0ffee00-0000-4000-8000-00000000000{n}", **values)
        meta = {
            "Timestamp": int(received.timestamp()) * 10**9, "submissionDate": f"{received:%Y%m%d}", "geoCountry": "DE",
            "normalizedChannel": "release", "appName": "Firefox", "appVersion": NEWEST, "appBuildId": pings.BUILD_ID,
            "docType": "main", "documentId": ping["id"],
        }  # fmt: skip
        ping["application"]["version"] = NEWEST
        ping["environment"]["build"]["version"] = NEWEST
        lines.append(json.dumps({**ping, "meta": meta}))
    path.write_text("\n".join(lines) + "\n")
    return path


def get(server: RunningServer, path: str = PATH, **parameters: Any) -> httpx.Response:
    headers = {"accept": "text/html"}
    return httpx.get(server.url + path, params=parameters or None, headers=headers, timeout=60)


def cells(server: RunningServer, measure: str, **parameters: Any) -> list[dict[str, Any]]:
    view = get(server, format="json", **parameters).json()
    rows = [row for group in view["table"]["groups"] for row in group["rows"]]
    found: list[dict[str, Any]] = next(row["cells"] for row in rows if row["measure"] == measure)
    return found


def test_rates_at_equal_age_are_what_sql_makes_of_the_rows(server: RunningServer) -> None:
    view = get(server, format="json").json()
    assert [head["name"] for head in view["table"]["heads"]] == [NEWEST, BEFORE, "100.0"]
    assert HOURS <= view["table"]["heads"][0]["hours"] <= HOURS + 1
    for cell, head in zip(cells(server, "main_crashes"), view["table"]["heads"], strict=True):
        since = datetime.fromisoformat(head["since"])
        until = since + timedelta(hours=head["hours"])
        (row,) = server.sql(
            "SELECT sum(main_crashes) AS n, sum(usage_hours) AS h FROM error_aggregates WHERE channel = 'release' "
            f"AND version = '{head['name']}' AND window_start >= '{since}' AND window_start < '{until}'"
        )
        assert (cell["count"], cell["per"]) == (pytest.approx(row["n"]), pytest.approx(row["h"]))


def test_marks_of_verdicts_users_and_changes_are_in_the_cells(server: RunningServer) -> None:
    newest, before, _ = cells(server, "main_crashes")
    assert (
        newest["said"]["href"] == f"/verdict/Firefox/release/{NEWEST}/main_crashes" and before["said"] is None
    )
    assert newest["before"] == BEFORE and newest["ratio_before"]
    # What was read of clients may be a moment old, and the pings were imported only just now.
    server.wait_until(lambda: cells(server, "plugin_crashes")[0]["users"])
    users = cells(server, "plugin_crashes")[0]["users"]
    assert users["number"] == pytest.approx(2, abs=0.1) and users["of"] == pytest.approx(3, abs=0.1)
    assert cells(server, "plugin_crashes", platform="Windows")[0]["users"] == users
    assert "plugin_crashes" not in get(server, platform="Mac", format="json").text
    page = get(server).text
    assert "2 users (" in page and f"/verdict/Firefox/release/{NEWEST}/main_crashes" in page


def test_a_platform_whole_lives_counts_and_kinds_of_columns_are_in_the_address(server: RunningServer) -> None:
    linux, everyone = cells(server, "main_crashes", platform="Linux"), cells(server, "main_crashes")
    assert linux[0]["count"] < everyone[0]["count"] and linux[0]["ratio_before"] > 2
    whole = cells(server, "main_crashes", age="all")
    assert whole[1]["count"] > everyone[1]["count"] and whole[0]["count"] == everyone[0]["count"]
    assert "Each version over the first 3" in get(server).text
    assert "whole life" in get(server, age="all", show="count").text
    assert len(cells(server, "main_crashes", columns="points")) == 3
    assert "No measure matches" in get(server, q="zzz").text


def test_the_breakdown_names_who_moved_and_nobody_else(server: RunningServer) -> None:
    by = "os_name"
    found = get(server, by=by, measure="main_crashes", format="json").json()["breakdown"]
    assert [one["values"] for one in found["values"] if one["since"]["differs"]] == [["Linux"]]
    assert found["values"][0]["since"]["low"] > 1.3
    page = get(server, by=by, measure="main_crashes").text
    assert "data-differs" in page and "/measure/Firefox/release/main_crashes?" in page
    shown = get(server, by=by, measure="main_crashes", all="1").text
    assert shown.count("data-value=") == len(found["values"])


def test_no_country_has_moved_and_a_version_of_a_system_has_its_name(server: RunningServer) -> None:
    found = get(server, by="country", measure="main_crashes", format="json").json()["breakdown"]
    assert len(found["values"]) >= 4 and not any(one["since"]["differs"] for one in found["values"])
    systems = get(server, by="os_version", measure="main_crashes", format="json", platform="Windows").json()[
        "breakdown"
    ]
    assert {one["values"][0] for one in systems["values"] if one["values"]} == {"Windows_NT"}


def test_the_csv_has_a_row_for_each_cell_or_value(server: RunningServer) -> None:
    rows = list(csv.DictReader(io.StringIO(get(server, format="csv").text)))
    main = [row for row in rows if row["measure"] == "main_crashes"]
    assert [row["version"] for row in main] == [NEWEST, BEFORE, "100.0"] and float(main[0]["rate"]) > 0
    values = list(
        csv.DictReader(io.StringIO(get(server, format="csv", by="os_name", measure="main_crashes").text))
    )
    assert values[0]["os_name"] == "Linux" and values[0]["since_differs"].lower() == "true"


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"{PATH}?platfrom=Mac", 400, "platform"),
        (f"{PATH}?sort=99.0", 400, "there is no column"),
        (f"{PATH}?measure=main_crashes&by=country&version=99.0", 400, "there is no column"),
        (f"{PATH}?age=all&age=equal", 400, "more than once"),
        (f"{PATH}?format=xml", 400, ""),
        (f"{PATH}?columns=betas", 200, "No such versions"),
        (f"{PATH}?platform=iOS", 200, "Nothing on iOS"),
        ("/channel/Firefox/nowhere", 200, "No numbers of this channel"),
        ("/channel/~/~e", 200, "No numbers of this channel"),
        ("/channel/%3Cscript%3Ealert(1)%3C~1script%3E/x", 200, "&lt;script&gt;"),
        ("/channel/a%00b/" + "x" * 300, 200, "No numbers"),
    ],
)
def test_addresses_of_any_kind(server: RunningServer, path: str, status: int, told: str) -> None:
    answer = httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)
    assert (answer.status_code, told in answer.text) == (status, True), answer.text[:3000]
    assert "<script>alert" not in answer.text


def test_other_pages_lead_here(server: RunningServer) -> None:
    # The first page was prepared when the server began: what was imported since comes a few seconds later.
    server.wait_until(lambda: f'href="{PATH}?platform=Linux"' in get(server, "/").text)
    assert f'href="{PATH}"' in get(server, "/").text
    for path in ("/verdicts", "/releases", f"/verdict/Firefox/release/{NEWEST}/main_crashes"):
        assert f'href="{PATH}"' in get(server, path).text, path
