"""One crash signature judged through the command, the API and its page, from imported rows and crash reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.server import RunningServer
from tests.support.signature_reports import NEWEST, fill, reports
from tests.support.small_channel import SmallChannel, published

OF = ("--application", "Firefox", "--channel", "release")
BAD = "ns<T>::bad | 50% & more"
SUBJECT = {
    "application": "Firefox",
    "channel": "release",
    "version": f"{NEWEST + 1}.0",
    "measure": "main_crashes",
}
AS_OF = published(NEWEST) + timedelta(hours=40)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Main crashes are thrice as many, and four in five of what is too much have one signature."""
    folder: Path = tmp_path_factory.mktemp("signatures")
    channel = SmallChannel(folder)
    rates = {"old": (2.0, 2.5), BAD: (1.0, 8.0)}
    found = [
        one
        for nth in range(NEWEST + 1)
        for signature, both in rates.items()
        for one in reports(nth, signature, both[nth == NEWEST])
    ]
    fill(channel, found, ratio=3.0)
    channel.services.releases.put(channel.releases)
    channel.services.close()
    running = RunningServer(folder, {})
    running.only = "web"
    running.start()
    yield running
    running.stop()


def test_the_command_says_what_its_replay_ends_with(server: RunningServer) -> None:
    asked = ("verdict", *OF, "--signature", BAD, "--as-of", AS_OF.isoformat(), "--json")
    one, whole = server.run(*asked, check=False), server.run(*asked, "--replay", check=False)
    assert (one.returncode, whole.returncode) == (3, 3)
    assert whole.stdout.splitlines()[-1] == one.stdout.strip()
    assert json.loads(one.stdout)["verdict"] == "worse"
    refused = server.run("verdict", *OF, "--signature", BAD, "--measure", "usage_hours", check=False)
    assert refused.returncode == 2 and "no verdicts on" in refused.stderr


def test_the_api_explains_it(server: RunningServer) -> None:
    asked = {**SUBJECT, "signature": BAD, "as_of": AS_OF.isoformat()}
    found = server.get("/api/v1/verdicts/explanation", **asked).json()
    assert found["verdict"]["look"]["verdict"] == "worse"
    assert found["verdict"]["account"]["subject"] == {**SUBJECT, "signature": BAD}
    assert found["course"] is None
    course = server.get("/api/v1/verdicts/explanation", **asked, course="true").json()["course"]
    assert course[-1] == found["verdict"]["look"]
    for wrong, status, code in (
        ({"measure": "first_paint"}, 400, "not_judged"),
        ({"version": "none"}, 404, "no_release"),
        ({"signature": "x" * 301}, 400, "bad_parameter"),
    ):
        answer = server.get("/api/v1/verdicts/explanation", **{**asked, **wrong})
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_its_page_leads_back_and_the_whole_names_it(server: RunningServer) -> None:
    path = f"/verdict/Firefox/release/{NEWEST + 1}.0/main_crashes"
    whole = server.get(path, as_of=AS_OF.isoformat(), format="json").json()["account"]
    named = whole["signatures"][0]
    assert named["signature"] == BAD and 0.7 < named["share"] <= 1
    assert whole["reports"]["predecessors"] == NEWEST
    assert f"% of the excess of crash reports has signature {BAD}" in whole["sentence"].replace(" %", "%")
    page = server.get(path, signature=BAD, as_of=AS_OF.isoformat())
    assert page.status_code == 200
    assert 'with signature <code class="signature">ns&lt;T&gt;::bad | 50% &amp; more</code>' in page.text
    assert 'name="signature" value="ns&lt;T&gt;::bad | 50% &amp; more"' in page.text
    assert "<script>document" not in page.text


def test_the_page_of_the_signature_leads_there(server: RunningServer) -> None:
    day = published(NEWEST).astimezone(UTC).date()
    days = {"start": day.isoformat(), "end": (day + timedelta(days=2)).isoformat()}
    page = server.get("/signature", signature=BAD, **days)
    assert f"/verdict/Firefox/release/{NEWEST + 1}.0/main_crashes?signature=ns%3CT%3E%3A%3Abad" in page.text
    assert datetime.fromisoformat(days["start"]).date() == day
