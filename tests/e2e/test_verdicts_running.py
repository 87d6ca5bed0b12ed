"""A running server judges what is imported: verdicts by API and SQL, through a kill, and with rows that come late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import judged_train
from tests.support.server import RunningServer, running_server

from missioncontrol.simulate.trains.export import Written

BAD = judged_train.story(2.0)
SUBJECT = {
    "application": "Firefox",
    "channel": "release",
    "version": judged_train.version(BAD),
    "measure": "main_crashes",
}
API = "/api/v1/verdicts"
PATIENCE_S = 120


def bring(server: RunningServer, written: Written, with_releases: bool = False) -> None:
    server.run("import", "aggregates", str(written.aggregates))
    server.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
    if with_releases:
        server.run("import", "releases", str(written.releases))


def looks(server: RunningServer) -> list[dict[str, Any]]:
    answer = server.get(f"{API}/history", **SUBJECT)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["looks"]
    return found


def wait_for_looks(server: RunningServer, number: int) -> list[dict[str, Any]]:
    server.wait_until(lambda: len(looks(server)) >= number, PATIENCE_S, 0.5)
    return looks(server)


def test_verdicts_through_imports_and_a_kill(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert server.get(API).json() == {"verdicts": []}
        bring(server, judged_train.write(BAD, tmp_path / "train", 60), with_releases=True)
        (first,) = wait_for_looks(server, 1)
        assert first["verdict"] == "too-early"
        assert first["age_hours"] == 5

        bring(server, judged_train.write(BAD, tmp_path / "more", 360, since=60))
        server.wait_until(lambda: looks(server)[-1]["verdict"] == "worse", PATIENCE_S, 0.5)
        before = looks(server)
        assert before[0] == first
        (current,) = server.get(API, **SUBJECT).json()["verdicts"]
        assert current["look"] == before[-1]
        assert current["account"]["look"]["verdict"] == "worse"
        assert SUBJECT["version"] in current["account"]["sentence"]
        rows = server.sql(
            "SELECT as_of, count(*) AS n, any_value(verdict) AS verdict FROM verdicts "
            f"WHERE version = '{SUBJECT['version']}' GROUP BY as_of ORDER BY as_of"
        )
        assert [(row["as_of"], row["n"]) for row in rows] == [(look["as_of"], 1) for look in before]

        server.kill()
        server.start()
        late = judged_train.write(BAD, tmp_path / "late", 372, since=300)
        bring(server, late)
        wait_for_looks(server, len(before) + 1)
        after = looks(server)
        assert after[: len(before)] == before, "what was said stays as it was said"
        assert after[-1]["as_of"] > before[-1]["as_of"]
        times = [look["as_of"] for look in after]
        assert len(times) == len(set(times))
        assert {look["since"] for look in after if look["verdict"] == "worse"} == {before[-1]["since"]}

        then = server.get(f"{API}/explanation", **SUBJECT, as_of=first["as_of"]).json()
        assert then["verdict"]["look"] == first
        assert then["course"] is None
        now = server.get(f"{API}/explanation", **SUBJECT, course="true")
        assert now.status_code == 200, now.text
        course = now.json()["course"]
        assert course[-1]["as_of"] == after[-1]["as_of"]
        assert len(course) == 372
        metrics = server.get("/metrics").text
        assert "mc_verdicts_failed 0.0" in metrics
        assert "mc_verdicts_looks_total" in metrics


def test_refusals_have_a_code(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        nothing = server.get(f"{API}/explanation", **SUBJECT)
        assert (nothing.status_code, nothing.json()["code"]) == (404, "no_verdict")
        assert server.get(f"{API}/history", **SUBJECT).json() == {
            "subject": SUBJECT,
            "looks": [],
            "complete": True,
        }
        for path, wrong, code in (
            ("/history", {"since": "yesterday"}, "bad_time"),
            ("/history", {"limit": "0"}, "bad_parameter"),
            ("/explanation", {"as_of": "31-12-2026"}, "bad_time"),
            ("/explanation", {"measure": ""}, "bad_parameter"),
        ):
            answer = server.get(API + path, **{**SUBJECT, **wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, code), (path, wrong)


def test_jobs_verdicts_is_a_turn_by_hand(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {})
    bring(server, judged_train.write(BAD, tmp_path / "train", 360), with_releases=True)
    done = server.run("jobs", "verdicts", "--json")
    assert '"looks":2' in done.stdout
    again = server.run("jobs", "verdicts")
    assert again.stderr.startswith("0 looks")
    shown = server.run("verdict", "--application", "Firefox", "--channel", "release", "--json", check=False)
    assert shown.returncode == 3
