"""The history of a running server: what it says, what may be asked for, and that hostile requests change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.history import ago, archive, backfill, command, mend, note, runs_of, spoil, today
from tests.support.server import RunningServer, running_server

SQL = "x'; DROP TABLE runs; --"
LONG = "9" * 10_000
PAGE = {"accept": "text/html"}
FORM = {"first": str(ago(2)), "last": str(ago(1)), "table": "crash_aggregates", "rules": "default"}
NO_JOBS = {"MC_JOBS__DAILY": "false"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Four archived days, of which one is made, one failed and one is to come. Nobody makes what waits."""
    folder = tmp_path_factory.mktemp("history")
    running = RunningServer(folder, {})
    archive(running.data, [ago(n) for n in (0, 1, 2, 3)])
    backfill(running.data, ago(3), ago(3))
    spoil(running.data, ago(2))
    backfill(running.data, ago(2), ago(2), check=False)
    mend(running.data, ago(2))
    running.only = "edge,web,stream"
    running.start()
    yield running
    running.stop()


def history(server: RunningServer, **parameters: Any) -> dict[str, Any]:
    answer = server.get("/api/v1/history", **parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def post(server: RunningServer, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(server.url + path, data=fields, headers={**PAGE, **names}, timeout=60)


def newest_run(server: RunningServer) -> int:
    return int(history(server)["runs"][0]["id"])


def test_each_day_has_its_state_and_the_page_says_the_same(server: RunningServer) -> None:
    found = history(server)
    states = {day["day"]: day["state"] for day in found["days"]}
    assert states == {
        str(ago(0)): "arriving", str(ago(1)): "missing", str(ago(2)): "failed", str(ago(3)): "made",
    }  # fmt: skip
    made = found["days"][3]
    assert made["pings"] == 3 and made["rows"] >= 1 and made["rules"] == "default" and made["size_bytes"] > 0
    page = server.get("/history").text
    assert f"crash_aggregates of {ago(2)} failed." in page and f"{ago(1)} is made next." in page
    assert "History <span" in server.get("/pipeline").text, "the mark is on every page"


def test_a_run_is_wanted_by_json_once_and_can_be_read(server: RunningServer) -> None:
    body = json.dumps({"tables": ["error_aggregates"], "first": str(ago(3))}).encode()
    answers = [server.post("/api/v1/history/runs", body) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    run = answers[0].json()
    assert run["id"] == answers[1].json()["id"] and run["status"] == "waiting" and run["origin"] == "page"
    assert run["what"] == f"error_aggregates of {ago(3)}"
    assert server.get(f"/api/v1/history/runs/{run['id']}").json() == run


def test_the_form_asks_for_a_run_and_leads_back_to_the_runs(server: RunningServer) -> None:
    answer = post(server, "/history/runs", FORM, origin=server.url, sec_fetch_site="same-origin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/history#runs")
    newest = history(server)["runs"][0]
    assert newest["what"] == f"crash_aggregates of {ago(2)} to {ago(1)}" and newest["status"] == "waiting"
    post(server, "/history/runs", FORM)
    assert newest_run(server) == newest["id"], "it waits already"


def test_a_failed_run_is_retried_once_however_often_the_button_is_pressed(server: RunningServer) -> None:
    failed = next(run for run in history(server)["runs"] if run["status"] == "failed")
    assert failed["can_retry"]
    for _ in range(3):
        assert post(server, f"/history/runs/{failed['id']}/retry", {}).status_code == 303
    found = history(server)
    same = [run for run in found["runs"] if run["what"] == failed["what"]]
    assert [run["status"] for run in same] == ["waiting", "failed"] and not same[1]["can_retry"]
    assert next(n for n in found["notices"] if n["kind"] == "failed")["retry"] is None
    done = next(run for run in found["runs"] if run["status"] == "done")
    assert post(server, f"/history/runs/{done['id']}/retry", {}).status_code == 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": str(ago(1)), "last": str(ago(2))}, "comes after"),
        ({"last": str(ago(-1))}, "has not begun yet"),
        ({"first": "yesterday"}, "is no day"),
        ({"last": ""}, None),
        ({"table": "pings"}, "There is no table"),
        ({"rules": "none"}, "There is no rule set"),
        ({"table": "error_aggregates", "rules": "cra"}, "it is not among the tables"),
        ({"first": str(ago(70))}, "These are 70 days"),
        *(({name: text}, "There is no" if name in ("table", "rules") else "is no day") for name in FORM for text in (SQL, LONG)),
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_comes_back_with_the_reason_and_what_was_typed(
    server: RunningServer, changes: dict[str, str], message: str | None
) -> None:
    before = newest_run(server)
    answer = post(server, "/history/runs", {**FORM, **changes})
    if message is None:
        assert answer.status_code == 303
        return
    assert answer.status_code == 400 and message in answer.text and 'role="alert"' in answer.text
    typed = {**FORM, **changes}
    for name in ("first", "last"):
        assert f'name="{name}" value="{typed[name][:200].replace(chr(39), "&#39;")}"' in answer.text
    assert len(answer.content) < 200_000 and "Traceback" not in answer.text
    assert newest_run(server) == before
    refusal = httpx.post(server.url + "/history/runs", data=typed).json()
    assert refusal.keys() == {"code", "message", "hint"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_body"),
        (b"[]", "bad_body"),
        (b'{"first": 1}', "bad_body"),
        (b'{"first": "2026-11-20", "tabels": []}', "bad_body"),
        (b'{"first": "\xff"}', "bad_body"),
        (b"[" * 50_000, "bad_body"),
        (b'{"first": "' + b"9" * 100_000 + b'"}', "body_too_large"),
        (json.dumps({"first": SQL}).encode(), "bad_day"),
        (json.dumps({"first": LONG}).encode(), "bad_day"),
        (json.dumps({"first": "2016-03-14", "last": SQL}).encode(), "bad_day"),
        (json.dumps({"first": "2016-03-14", "tables": [SQL]}).encode(), "unknown_table"),
        (json.dumps({"first": "2016-03-14", "tables": [LONG]}).encode(), "unknown_table"),
        (json.dumps({"first": "2016-03-14", "rules": LONG}).encode(), "unknown_rules"),
        (json.dumps({"first": "2016-03-14", "last": "2016-03-13"}).encode(), "days_out_of_order"),
        (json.dumps({"first": "9999-12-31"}).encode(), "day_in_future"),
        (
            json.dumps({"first": "2016-03-14", "tables": ["client_aggregates"], "rules": "cav"}).encode(),
            "rules_without_crashes",
        ),
    ],
)
def test_json_that_makes_no_sense_is_refused_by_name(server: RunningServer, body: bytes, code: str) -> None:
    before = newest_run(server)
    answer = server.post("/api/v1/history/runs", body)
    assert answer.status_code == 400 and answer.json().keys() == {"code", "message", "hint"}
    assert answer.json()["code"] == code and len(answer.content) < 1000
    assert newest_run(server) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_other_sites_cannot_use_a_visitors_access(server: RunningServer, headers: dict[str, str]) -> None:
    before = newest_run(server)
    for path in ("/history/runs", "/history/runs/1/retry", "/history/runs/1/leave", "/api/v1/history/runs"):
        answer = post(server, path, {**FORM, "first": str(ago(9))}, **headers)
        assert answer.status_code == 403 and "cross_site" in answer.text
        assert "access-control-allow-origin" not in answer.headers
    assert newest_run(server) == before


@pytest.mark.parametrize(
    "run_id", ["0", "-1", "99999", str(2**31), str(2**63), str(2**100), "9" * 5000, "x", SQL]
)
def test_a_run_that_does_not_exist_is_told(server: RunningServer, run_id: str) -> None:
    for answer in (
        httpx.post(f"{server.url}/history/runs/{run_id}/leave", timeout=60),
        server.get(f"/api/v1/history/runs/{run_id}"),
        httpx.post(f"{server.url}/history/runs/{run_id}/retry", timeout=60),
    ):
        assert answer.status_code in (400, 404, 414) and answer.json().keys() == {"code", "message", "hint"}


@pytest.mark.parametrize("before", [SQL, LONG[:3000], "2026-02-30", "0000-00-00"])
def test_before_must_be_a_day(server: RunningServer, before: str) -> None:
    assert server.get("/api/v1/history", before=before).json()["code"] == "bad_day"
    page = httpx.get(f"{server.url}/history", params={"before": before}, headers=PAGE)
    assert page.status_code == 400 and "is no day" in page.text


def test_a_reload_after_a_refused_form_leads_to_the_page(server: RunningServer) -> None:
    assert server.get("/history/runs").headers["location"] == "/history"
    assert server.get("/history", before="0001-01-01").status_code == 200


def test_the_commands_list_and_retry_runs(server: RunningServer) -> None:
    rows = json.loads(server.run("jobs", "list", "--json").stdout)
    assert [row["id"] for row in rows] == [run["id"] for run in history(server)["runs"]]
    plain = server.run("jobs", "list").stdout.splitlines()
    assert len(plain) == len(rows) and plain[-1].split("\t")[:3] == [
        "1",
        "done",
        f"crash_aggregates of {ago(3)}",
    ]
    failed = next(row for row in rows if row["status"] == "failed")
    said = server.run("jobs", "retry", str(failed["id"])).stderr
    assert "waits" in said and "Traceback" not in said
    assert server.run("jobs", "retry", "99999", check=False).returncode == 1
    assert server.run("jobs", "retry", "x", check=False).returncode == 2


def test_a_waiting_run_is_made_by_the_server_and_the_mark_goes(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        archive(server.data, [ago(1)])
        spoil(server.data, ago(1))
        backfill(server.data, ago(1), ago(1), check=False)
        assert "History <span" in server.get("/").text
        mend(server.data, ago(1))
        failed = history(server)["runs"][0]
        post(server, f"/history/runs/{failed['id']}/retry", {})
        server.wait_until(lambda: history(server)["runs"][0]["status"] == "done", 60)
        assert history(server)["days"][0]["state"] == "made"
        assert "History <span" not in server.get("/").text


def test_a_folder_that_never_archived_anything_says_what_to_do(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        assert history(server)["days"] == [] and history(server)["runs"] == []
        assert "Nothing is archived yet." in server.get("/history").text
        assert json.loads(command(server.data, "jobs", "list", "--json").stdout) == []


def test_a_long_history_is_paged_and_counted(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        note(server.data, [ago(n) for n in range(200, 0, -1)])
        first = history(server)
        assert (len(first["days"]), first["days_total"], len(first["runs"])) == (60, 200, 100)
        second = history(server, before=first["older"])
        assert second["newer"] and second["days"][0]["day"] < first["older"]
        assert "60 of 200 days" in server.get("/history").text
        assert runs_of(server.data).built_days(first=ago(3), last=ago(2))[0].day == ago(2) != today()


def test_a_day_whose_archive_is_too_little_can_be_left_as_it_is_and_the_mark_goes(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        archive(server.data, [ago(1)])
        row = tmp_path / "rows.ndjson"
        row.write_text(
            json.dumps({"window_start": f"{ago(1)}T10:00:00Z", "submission_date": str(ago(1)), "count": 50})
            + "\n"
        )
        command(server.data, "import", "aggregates", str(row))
        backfill(server.data, ago(1), ago(1), "--table", "error_aggregates", check=False)
        [notice] = [n for n in history(server)["notices"] if n["kind"] == "failed"]
        assert notice["leave"] == history(server)["runs"][0]["id"] and notice["retry"] is None
        page = server.get("/history").text
        assert "Leave the day as it is" in page and "`" not in page
        assert (
            f"--table error_aggregates --min-submission-date {ago(1)} --max-submission-date {ago(1)} --incomplete"
            in page
        )
        assert "History <span" in page
        for _ in range(2):
            assert post(server, f"/history/runs/{notice['leave']}/leave", {}).status_code == 303
        after = server.get("/history").text
        assert "History <span" not in after and "Leave the day" not in after
        done = command(server.data, "sql", "--format", "json", "SELECT sum(count) AS n FROM error_aggregates")
        assert json.loads(done.stdout)[0]["n"] == 53


def test_many_days_are_asked_back_about_once(server: RunningServer) -> None:
    many = {**FORM, "first": str(ago(90)), "last": str(ago(1)), "rules": "cav"}
    answer = post(server, "/history/runs", many)
    assert answer.status_code == 400 and "These are 90 days" in answer.text
    assert "Yes, make all of them again" in answer.text
    sure = f"{ago(90)}/{ago(1)}"
    assert f'name="sure" value="{sure}"' in answer.text
    assert post(server, "/history/runs", {**many, "first": str(ago(95)), "sure": sure}).status_code == 400
    assert post(server, "/history/runs", {**many, "sure": sure}).status_code == 303
    assert history(server)["runs"][0]["what"].endswith(", rules cav")


def test_the_page_says_what_it_is_for_and_leads_to_the_guide(server: RunningServer) -> None:
    page = server.get("/history").text
    assert "The charts do not wait for this page" in page and 'href="/docs/how-to/history"' in page
    assert "cra: crash pings of every process" in page and "If in doubt, <code>default</code>." in page
    guide = server.get("/docs/how-to/history")
    assert (
        guide.status_code == 200
        and "<h1" in guide.text
        and 'href="/docs/reference/http-api#history"' in guide.text
    )
    assert 'id="history"' in server.get("/docs/reference/http-api").text
    for wrong in ("how-to/nothing", "how-to/..%2f..%2fREADME", "src/x", "how-to/history.md"):
        assert server.get(f"/docs/{wrong}").status_code == 404
    linked = server.get("/history", first=str(ago(3)), rules="cra").text
    assert (
        f"missioncontrol backfill --min-submission-date {ago(3)} --max-submission-date {ago(3)} --rules cra"
        in linked
    )
    assert server.get("/history", rules="nonsense").status_code == 400


def test_runs_with_nothing_to_make_stand_apart(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        archive(server.data, [ago(1)])
        backfill(server.data, ago(40), ago(39))
        backfill(server.data, ago(1), ago(1))
        page = server.get("/history").text
        assert "1 run with nothing to make" in page and "Nothing to make" in page
        assert page.index('data-run="2"') < page.index("1 run with nothing") < page.index('data-run="1"')
        assert [run["made_nothing"] for run in history(server)["runs"]] == [False, True]


def test_mixed_rule_sets_are_told_with_a_link_that_makes_them_alike(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        archive(server.data, [ago(n) for n in (1, 2, 3)])
        backfill(server.data, ago(3), ago(1))
        backfill(server.data, ago(2), ago(2), "--rules", "cra")
        page = server.get("/history").text
        assert f"{ago(2)} was made under the rules cra, the other 2 under default." in page
        assert f'href="/history?first={ago(2)}&amp;last={ago(2)}&amp;rules=default#make"' in page
        assert "<b>cra</b>" in page
