"""Pages of verdicts over an installation that was filled by imports: nobody looked at the time, so looks are worked out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.history import command
from tests.support.release_trains import STRATA_TABLE, tell
from tests.support.server import RunningServer, running_server

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.verdict.tables import TICKS_PER_HOUR

PAGE = {"accept": "text/html"}
PATH = "/verdict/Firefox/release/102.0/main_crashes"
HOURS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two harmless releases, and 102.0, published 30 hours ago, that crashes three times as often."""
    folder = tmp_path_factory.mktemp("verdict-pages")
    with running_server(folder) as running:
        story = tell(releases=3, clients=20_000, weight=20).worse(3.0)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        now -= timedelta(minutes=now.minute % 5)
        start = now - timedelta(hours=HOURS, minutes=5 * story.candidate.published)
        releases = [*story.predecessors, story.candidate]
        written = write_train(folder / "train", releases, story.channel, STRATA_TABLE, start)
        command(running.data, "import", "aggregates", str(written.aggregates))
        command(running.data, "import", "aggregates", "--table", "usage_by_activity", str(written.activity))
        command(running.data, "import", "releases", str(written.releases))
        yield running


def get(server: RunningServer, path: str, **parameters: Any) -> httpx.Response:
    return httpx.get(server.url + path, params=parameters or None, headers=PAGE, timeout=60)


def at(hours_ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours_ago):%Y-%m-%dT%H:%MZ}"


def test_a_verdict_is_worked_out_as_it_was_known_then(server: RunningServer) -> None:
    as_of = at(3)
    page = get(server, PATH, as_of=as_of)
    assert page.status_code == 200 and "As it was known on" in page.text
    assert page.text.count('class="vplot"') == 3
    found = get(server, PATH, as_of=as_of, format="json").json()
    looks = found["looks"]
    assert HOURS - 3.2 < looks[-1]["age_hours"] <= HOURS - 3 + 0.1
    assert len(looks) == round(looks[-1]["age_hours"] * TICKS_PER_HOUR)
    assert found["account"]["look"] == looks[-1]
    rows = list(csv.DictReader(io.StringIO(get(server, PATH, as_of=as_of, format="csv").text)))
    assert len(rows) == len(looks) and float(rows[-1]["ratio"]) == looks[-1]["ratio"]
    assert "short_history" in looks[-1]["reasons"] and "fewer than 6 predecessors" in page.text


def test_the_page_says_what_the_command_says(server: RunningServer) -> None:
    as_of = at(5)
    names = (
        "--application",
        "Firefox",
        "--channel",
        "release",
        "--version",
        "102.0",
        "--measure",
        "main_crashes",
    )
    done = command(server.data, "verdict", *names, "--as-of", as_of, "--json", check=False)
    said = json.loads(done.stdout)
    look = get(server, PATH, as_of=as_of, format="json").json()["account"]["look"]
    assert {name: said[name] for name in ("verdict", "ratio", "low", "high", "observed")} == {
        name: look[name] for name in ("verdict", "ratio", "low", "high", "observed")
    }
    assert done.returncode == (3 if look["verdict"] == "worse" else 0)


def test_the_strip_of_data_tells_what_was_not_counted(server: RunningServer) -> None:
    figure = get(server, PATH).text.split('<a href="/pipeline#discards">Pings not counted</a>')[1][:400]
    assert "<dd>0</dd>" in figure and "of Firefox release since it was published" in figure
    assert 'id="discards"' in get(server, "/pipeline").text


def test_before_publication_nothing_is_claimed(server: RunningServer) -> None:
    page = get(server, PATH, as_of=at(HOURS + 40))
    assert page.status_code == 200
    assert "It is not published yet." in page.text and "▲" not in page.text.split("<footer")[0]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "code"),
    [
        ("/verdict/Firefox/release/999.0/main_crashes", {}, 404, "no_release"),
        ("/verdict/Firefox/release/102.0/nothing", {}, 400, "not_judged"),
        (PATH, {"as_of": "tomorrow"}, 400, "bad_time"),
        (PATH, {"format": "xml"}, 400, "bad_parameter"),
        ("/verdicts", {"colour": "red"}, 400, "unknown_parameter"),
        ("/calibration", {"format": "json", "channel": "nope"}, 404, "no_calibration"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    server: RunningServer, path: str, parameters: dict[str, str], status: int, code: str
) -> None:
    page = get(server, path, **parameters)
    assert (page.status_code, code in page.text) == (status, True), page.text[:400]


def test_any_name_can_be_asked_for(server: RunningServer) -> None:
    for version in ("~", "%2E%2E", "a~1b", "x" * 200, "%3Cscript%3Ealert(1)%3C~1script%3E"):
        page = get(server, f"/verdict/Firefox/release/{version}/main_crashes")
        assert page.status_code == 404 and "<script>alert" not in page.text


def test_the_past_is_calibrated_by_a_command_and_shown(server: RunningServer) -> None:
    assert "Nothing was calibrated yet" in get(server, "/calibration").text
    names = ("--application", "Firefox", "--channel", "release", "--measure", "main_crashes")
    command(server.data, "release", "set", *names[:4], "--version", "101.0", "--status", "accepted")
    done = command(server.data, "calibrate", *names, "--json")
    assert "main_crashes: 0 of 1 accepted releases were called worse" in done.stderr
    (made,) = json.loads(done.stdout)
    assert [one["release"]["version"] for one in made["releases"]] == ["102.0", "101.0", "100.0"]
    assert [one["counts"] for one in made["releases"]] == [False, True, False]
    page = get(server, "/calibration", channel="release")
    assert "0 of 1" in page.text and page.text.count("<tr") == 4
    stored = get(server, "/calibration", format="json").json()
    assert stored["releases"] == made["releases"]


def test_a_channel_without_releases_is_refused_in_one_line(server: RunningServer) -> None:
    done: subprocess.CompletedProcess[str] = command(
        server.data, "calibrate", "--application", "Firefox", "--channel", "nope", check=False
    )
    assert (
        done.returncode == 1
        and "No release of Firefox on nope" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_the_server_never_loads_the_statistics(server: RunningServer) -> None:
    get(server, "/verdicts")
    get(server, PATH)
    assert server.process is not None
    loaded = [
        Path(f"/proc/{pid}/maps").read_text()
        for pid in _family(server.process.pid)
        if "serve" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    assert loaded and not any("/scipy/special/" in text for text in loaded)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in _family(int(child)))]
