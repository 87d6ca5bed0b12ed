"""A version that is called worse, and a person who accepts it: command line, API and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.release_trains import STRATA_TABLE, tell
from tests.support.server import RunningServer
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

from missioncontrol.simulate.trains.export import write_train

PATH = "/verdict/Firefox/release/102.0/main_crashes"
OF = ("--application", "Firefox", "--channel", "release", "--version", "102.0")
PAGE = {"accept": "text/html"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Two harmless releases, and 102.0, published 30 hours ago, which crashes three times as often. Nothing judges."""
    running = RunningServer(tmp_path, {})
    running.only = "web"
    story = tell(releases=3, clients=20_000, weight=20).worse(3.0)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    start = now - timedelta(hours=30, minutes=now.minute % 5 + 5 * story.candidate.published)
    releases = [*story.predecessors, story.candidate]
    written = write_train(tmp_path / "train", releases, story.channel, STRATA_TABLE, start)
    running.run("import", "aggregates", str(written.aggregates))
    running.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
    running.run("import", "releases", str(written.releases))
    add_user(running, "olga", "read", "reprocess", "protected")
    running.start()
    yield running
    running.stop()


def at(minutes: float) -> str:
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def verdict(server: RunningServer, as_of: str) -> tuple[dict[str, Any], int]:
    done = server.run("verdict", *OF, "--measure", "main_crashes", "--as-of", as_of, "--json", check=False)
    return json.loads(done.stdout), done.returncode


def replay(server: RunningServer, as_of: str) -> list[str]:
    words = ("--measure", "main_crashes", "--as-of", as_of, "--replay", "--json")
    return server.run("verdict", *OF, *words, check=False).stdout.splitlines()


def test_a_person_accepts_what_was_called_worse_and_takes_it_back(server: RunningServer) -> None:
    before = datetime.now(UTC)
    ago = at(-20)
    worse, code = verdict(server, ago)
    assert (worse["verdict"], code) == ("worse", 3)
    looks = replay(server, ago)

    anonymous = httpx.get(server.url + PATH, headers=PAGE, timeout=120).text
    assert 'data-verdict="worse"' in anonymous and 'id="withdraw"' not in anonymous
    with browser(server) as olga:
        assert sign_in(olga, "olga").status_code == 303
        olga.headers["origin"] = server.url
        page = olga.get(PATH, timeout=120).text
        form = page.split('id="withdraw"')[1].split("</form>")[0]
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
        action = re.findall(r'action="([^"]+)"', form)[0]
        assert olga.post(action, data={**fields, "note": "one bot"}).status_code == 303
        page = olga.get(PATH, timeout=120).text
        assert 'data-verdict="worse"' in page, "the look of before stays"
        assert "by olga" in page and "The next look takes that up." in page and 'id="withdraw"' not in page
        listed = olga.get("/releases").text
        assert re.search(r"data-since>since <time[^>]*>[^<]*</time> by olga<", listed)
        after = olga.get(PATH, params={"as_of": at(10)}, timeout=120).text
        assert 'data-verdict="too-early"' in after and "until a person accepted it" in after
        assert "<code>withdrawn</code>" in after and 'id="forecast"' not in after

    assert verdict(server, ago) == (worse, 3)
    accepted, code = verdict(server, at(10))
    assert (accepted["verdict"], code) == ("too-early", 0)
    now = replay(server, at(10))
    assert now[: len(looks)] == looks
    assert json.loads(now[-1])["verdict"] == "too-early"

    reader = bearer(make_token(server, "read", "protected")["token"])
    [row] = server_rows(server, reader)
    assert [(one["status"], one["by"]) for one in row["statuses"]] == [
        ("accepted", None),
        ("accepted", "olga"),
    ]
    since = datetime.fromisoformat(row["status_since"])
    assert before <= since <= datetime.now(UTC) and row["status_by"] == "olga"
    [row] = server_rows(server, {})
    assert row["status_by"] is None and row["status_since"], "names of people are protected"

    told = server.run("release", "set", *OF, "--status", "worse", "--note", "not the bot").stderr
    assert "is worse since" in told
    assert verdict(server, at(15))[0]["verdict"] == "worse"
    assert server.run("release", "list", *OF[:4]).stdout.splitlines()[0].split("\t")[5] == "worse"


def server_rows(server: RunningServer, headers: dict[str, str]) -> list[dict[str, Any]]:
    parameters = {"application": "Firefox", "channel": "release", "version": "102.0"}
    found: list[dict[str, Any]] = httpx.get(
        f"{server.url}/api/v1/releases", params=parameters, headers=headers, timeout=30
    ).json()
    return found
