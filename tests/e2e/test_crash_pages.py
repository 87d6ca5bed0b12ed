"""The pages of crashes at running servers: what they show, to whom, and what their buttons do."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.support import crash_rows
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import FUNCTIONS, Crash, make_crash
from tests.support.form import add_symbols, installed, state_of
from tests.support.minidumps import header_only
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

from missioncontrol.state.access_log import AccessLog
from missioncontrol.state.crash_jobs import URGENT, Leased
from missioncontrol.state.crash_queue import ATTEMPTS, CrashQueue

PAGE = {"accept": "text/html"}
SECRETS = {
    "URL": "https://secret.example/page",
    "Comments": "I was <b>diving</b>",
    "Mystery": "undeclared-value",
}
TAIL = "otter::Tail::wag"
COUNT = 3000


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    return make_crash(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, crash: Crash) -> Iterator[RunningServer]:
    """With some thousand crashes of Otter, and a user, so that whoever does not sign in sees what is public."""
    folder = tmp_path_factory.mktemp("pages")
    crash_rows.write(folder / "data", crash_rows.crashes(datetime.now(UTC), COUNT))
    add_symbols(installed(folder / "data"), crash.binary)
    with running_server(folder) as server:
        add_user(server, "olga", "read", "protected", "reprocess")
        yield server


@pytest.fixture(scope="module")
def crash_id(server: RunningServer, crash: Crash) -> str:
    """A real crash with secrets, processed."""
    found = sent(server, **SECRETS, upload_file_minidump=crash.dump.read_bytes())
    server.wait_until(lambda: server.get(f"/api/ProcessedCrash/?crash_id={found}").status_code == 200, 60)
    return found


@pytest.fixture
def olga(server: RunningServer) -> Iterator[httpx.Client]:
    with browser(server) as client:
        assert sign_in(client, "olga").status_code == 303
        yield client


def sent(server: RunningServer, upload_file_minidump: bytes | None = None, **annotations: str) -> str:
    files = {} if upload_file_minidump is None else {"upload_file_minidump": upload_file_minidump}
    body = report({**ANNOTATIONS, "n": os.urandom(8).hex(), **annotations}, **files)
    return send(server.url, body).text.removeprefix("CrashID=bp-").strip()


def page(server: RunningServer, path: str) -> str:
    answer = httpx.get(server.url + path, headers=PAGE, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


# ---- one crash


def test_a_report_names_functions_files_lines_and_how_each_frame_was_found(
    server: RunningServer, crash_id: str
) -> None:
    shown = page(server, f"/report/{crash_id}")
    for text in (*FUNCTIONS, "crash_program.c:", "SIGSEGV", "unwind info", "Firefox 153.0", "20261120093000"):
        assert text in shown
    assert "debuginfod-find debuginfo" in shown and "symbols upload libc.so.6" not in shown


@pytest.mark.parametrize("prefix", ["/crash/", "/crash/bp-", "/report/bp-", "/report?id=bp-"])
def test_every_way_of_writing_an_id_leads_to_the_report(
    server: RunningServer, crash_id: str, prefix: str
) -> None:
    answer = server.get(f"{prefix}{crash_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/report/{crash_id}")


def test_what_is_protected_is_in_no_answer_to_a_reader_without_the_scope(
    server: RunningServer, crash_id: str
) -> None:
    for path in (f"/report/{crash_id}", f"/report/{crash_id}?format=json", f"/report/{crash_id}/signature"):
        text = page(server, path)
        for secret in ("secret.example", "diving", "undeclared-value", "Mystery", '"rip"', "Registers at"):
            assert secret not in text, (path, secret)
    assert "data-withheld" in page(server, f"/report/{crash_id}")
    for file in ("upload_file_minidump", "nothing"):
        assert httpx.get(f"{server.url}/report/{crash_id}/files/{file}", timeout=30).status_code == 401


def test_a_reader_with_the_scope_sees_it_escaped_and_it_is_recorded(
    server: RunningServer, olga: httpx.Client, crash_id: str, crash: Crash
) -> None:
    shown = olga.get(f"/report/{crash_id}").text
    assert "secret.example" in shown
    assert "I was &lt;b&gt;diving&lt;/b&gt;" in shown
    assert "undeclared-value" in shown
    assert "Registers at the crash" in shown
    twin = olga.get(f"/report/{crash_id}?format=json").json()
    assert (twin["raw"]["Mystery"], twin["protected"]) == ("undeclared-value", True)
    dump = olga.get(f"/report/{crash_id}/files/upload_file_minidump")
    assert dump.content == crash.dump.read_bytes()
    assert "attachment" in dump.headers["content-disposition"]
    log = AccessLog(state_of(server.data)).list(who="olga")
    seen = {(s.kind, s.thing) for s in log}
    assert {("crash", crash_id), ("dump", f"{crash_id} upload_file_minidump")} <= seen


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/report/nonsense", 400, "bad_crash_id"),
        ("/report/de1bb258-cbbf-4589-a673-34f800261126", 404, "unknown_crash"),
        ("/report/de1bb258-cbbf-4589-a673-34f800261126/signature", 404, "unknown_crash"),
        ("/signature", 400, "no_signature"),
        ("/topcrashers?days=never", 400, "bad_parameter"),
        ("/search?field=user_comments&text=x", 400, "bad_parameter"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    server: RunningServer, path: str, status: int, code: str
) -> None:
    answer = server.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_files_are_those_of_the_report(olga: httpx.Client, crash_id: str) -> None:
    for name in ("memory_report", "..%2f..%2fstate.sqlite", "upload_file_minidump.dmp"):
        assert olga.get(f"/report/{crash_id}/files/{name}").status_code == 404


def test_a_dump_without_a_stack_says_why(server: RunningServer) -> None:
    found = sent(server, upload_file_minidump=header_only())
    server.wait_until(lambda: "There is no stack" in page(server, f"/report/{found}"), 60)
    assert "no list of threads" in page(server, f"/report/{found}")


def test_the_signature_is_explained_frame_by_frame(server: RunningServer, crash_id: str) -> None:
    shown = page(server, f"/report/{crash_id}/signature")
    assert "poke_widget" in shown
    assert "added, stopped" in shown
    assert "StackSignature" in shown


def test_processing_again_needs_the_scope_and_a_page_of_this_server(
    server: RunningServer, olga: httpx.Client, crash_id: str
) -> None:
    path = f"/report/{crash_id}/reprocess"
    assert httpx.post(server.url + path, timeout=30).status_code == 401
    reader = make_token(server, "read")["token"]
    assert httpx.post(server.url + path, headers=bearer(reader), timeout=30).status_code == 403
    assert olga.post(path, headers={"origin": "https://elsewhere.example"}).status_code == 403
    before = olga.get(f"/report/{crash_id}?format=json").json()["processed"]["completed_datetime"]
    answer = olga.post(path, headers={"origin": server.url})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/report/{crash_id}")

    def again() -> bool:
        return bool(
            olga.get(f"/report/{crash_id}?format=json").json()["processed"]["completed_datetime"] != before
        )

    server.wait_until(again, 60)


# ---- many crashes


def test_products_and_queue_are_on_one_page(server: RunningServer) -> None:
    shown = page(server, "/crashes")
    assert 'href="/topcrashers?product=Otter"' in shown
    found = server.get("/crashes?format=json").json()
    [otter] = [p for p in found["products"] if p["product"] == "Otter"]
    assert otter["reports"] > 0
    assert otter["null"] + otter["empty"] > 0
    assert found["queue"]["set_aside"] == 0


def test_top_crashers_rank_what_is_new_and_agree_with_their_twins(server: RunningServer) -> None:
    path = "/topcrashers?product=Otter&days=7"
    shown = page(server, path)
    assert ">new</span>" in shown
    assert "no name</span>" in shown
    view = server.get(f"{path}&format=json").json()
    tail = next(r for r in view["rows"] if r["signature"] == TAIL)
    assert (tail["new"], tail["rank_change"]) == (True, None)
    rows = list(csv.DictReader(io.StringIO(server.get(f"{path}&format=csv").text)))
    assert [int(r["rank"]) for r in rows] == list(range(1, len(rows) + 1))
    # A text that a sheet would run as a formula stands behind a ' in the file: `@0x0 | otter::...` is one.
    safe = {r["signature"]: r["signature"] for r in view["rows"]}
    safe |= {f"'{signature}": signature for signature in safe if signature and signature.startswith("@")}
    assert [(safe[r["signature"] or None], float(r["count"])) for r in rows] == [
        (r["signature"], r["count"]) for r in view["rows"]
    ]
    assert any(r["signature"].startswith("'@") for r in rows)
    assert sum(float(r["count"]) for r in rows) == view["count"]
    assert sum(float(r["share"]) for r in rows) == pytest.approx(1, abs=1e-4)
    systems = [float(r[name]) for r in rows for name in view["systems"]]
    assert sum(systems) == view["count"]


def test_filters_narrow_and_are_kept_in_the_address(server: RunningServer) -> None:
    def count(query: str) -> float:
        return float(server.get(f"/topcrashers?product=Otter&days=28&{query}format=json").json()["count"])

    whole = count("")
    betas, three = count("version=4.0b&"), count("version=3.9,3.9.1&")
    assert betas + three == whole
    assert sum(count(f"process={p}&") for p in ("parent", "content", "gpu")) == whole
    assert count("os=Linux&") < whole
    untidy = server.get("/topcrashers?product=Otter&version=&channel=&days=3")
    assert (untidy.status_code, untidy.headers["location"]) == (303, "/topcrashers?product=Otter&days=3")


def test_a_signature_has_its_course_breakdowns_and_reports(server: RunningServer) -> None:
    path = f"/signature?signature={TAIL}&product=Otter"
    shown = page(server, path)
    for text in (
        "By version",
        "Uptime",
        "Install age",
        "Reason",
        "Address",
        "Architecture",
        "explain this one",
    ):
        assert text in shown
    view = server.get(f"{path}&format=json").json()
    for one in view["breakdowns"]:
        assert sum(v["count"] for v in one["values"]) <= view["totals"]["count"]
    assert sum(layer["total"] for layer in view["chart"]["layers"]) == view["totals"]["count"]
    listed = list(csv.DictReader(io.StringIO(server.get(f"{path}&format=csv").text)))
    assert len(listed) == view["totals"]["reports"]
    assert {row["signature"] for row in listed} == {TAIL}
    assert "user_comments" not in listed[0]


def test_crashes_without_a_signature_have_a_page(server: RunningServer) -> None:
    view = server.get("/signature?signature=~&product=Otter&days=28&format=json").json()
    assert view["totals"]["reports"] > 0
    assert {r["signature"] for r in view["reports"]} == {None}


def test_comments_are_for_those_with_the_scope(server: RunningServer, olga: httpx.Client) -> None:
    path = f"/signature?signature={TAIL}&product=Otter"
    assert "swimming along" not in page(server, path)
    assert server.get(f"{path}&format=json").json()["comments"] == []
    shown = olga.get(path).text
    assert "swimming along" in shown
    assert "&lt;b&gt;I&lt;/b&gt;" in shown


def test_search_finds_by_field_and_takes_a_crash_id(server: RunningServer, crash_id: str) -> None:
    view = server.get("/search?product=Otter&field=reason&text=sigsegv&facet=os&format=json").json()
    assert view["totals"]["reports"] > 0
    assert {r["os_name"] for r in view["reports"]} == {"Linux"}
    assert view["breakdowns"][0]["name"] == "os"
    answer = server.get(f"/search?contains=bp-{crash_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/report?id={crash_id}")
    assert "No crash is like that" in page(server, "/search?contains=no-such-name")


@pytest.mark.parametrize(
    "query", ["product=Otter&url=~swim", "facet=url", "_facets=url", "product=Otter&product=SS"]
)
def test_search_refuses_what_it_would_leave_out(
    server: RunningServer, olga: httpx.Client, query: str
) -> None:
    for answer in (server.get(f"/search?{query}"), olga.get(f"/search?{query}&format=json")):
        assert answer.status_code == 400


def test_pages_go_on_to_the_end(server: RunningServer) -> None:
    first = server.get("/search?product=Otter&days=28&format=json").json()
    last = server.get(f"/search?product=Otter&days=28&page={first['pages']}&format=json").json()
    assert 0 < len(last["reports"]) <= 50
    assert first["reports"][0]["crash_id"] != last["reports"][0]["crash_id"]


# ---- before a crash is processed


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server without workers."""
    server = RunningServer(tmp_path_factory.mktemp("idle"), {})
    server.only = "edge,web"
    try:
        server.start()
        yield server
    finally:
        server.stop()


def queue_of(server: RunningServer) -> CrashQueue:
    return CrashQueue(state_of(server.data))


def test_without_crashes_the_page_says_how_to_send_one(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {})
    server.only = "edge,web"
    try:
        server.start()
        shown = page(server, "/crashes")
        assert f"{server.url}/submit" in shown
        assert "crashReporter.start" in shown
        for path in ("/topcrashers", "/search", "/signature?signature=x"):
            assert "No crash received yet" in page(server, path)
    finally:
        server.stop()


def test_a_crash_that_waits_shows_its_place_and_is_moved_up_once(idle: RunningServer) -> None:
    others = [sent(idle, header_only()) for _ in range(3)]
    mine = sent(idle, header_only())
    shown = page(idle, f"/report/{mine}")
    assert "It waits to be processed" in shown
    assert 'http-equiv="refresh"' in shown
    assert 'data-live-page="fast"' in shown
    assert "It is the next one" in shown
    queue = queue_of(idle)
    entry = queue.entry(mine, datetime.now(UTC))
    assert entry is not None and entry.priority == URGENT
    page(idle, f"/report/{mine}")
    assert queue.entry(mine, datetime.now(UTC)) == entry
    assert queue.place(others[-1]) == 3
    assert server_state(idle, mine) == "waiting"
    assert "Waiting" in page(idle, "/crashes")


def server_state(server: RunningServer, crash_id: str) -> str:
    return str(server.get(f"/report/{crash_id}?format=json").json()["standing"]["state"])


def test_a_crash_that_was_set_aside_says_why_and_can_be_tried_again(idle: RunningServer) -> None:
    mine = sent(idle, header_only())
    queue, now = queue_of(idle), datetime.now(UTC)
    queue.want([mine], URGENT, now)
    [leased] = [c for c in queue.lease("test", 50, 60, now + timedelta(seconds=1)) if c.crash_id == mine]
    assert "is being processed" in page(idle, f"/report/{mine}")
    queue.failed(Leased(mine, ATTEMPTS), "test", "the walker said <no>", now)
    assert leased.attempts == 1
    shown = page(idle, f"/report/{mine}")
    assert "could not be processed" in shown
    assert "the walker said &lt;no&gt;" in shown
    assert 'http-equiv="refresh"' not in shown
    assert server_state(idle, mine) == "set aside"
    assert mine in page(idle, "/crashes")
    answer = httpx.post(f"{idle.url}/report/{mine}/reprocess", timeout=30)
    assert answer.status_code == 303
    assert server_state(idle, mine) == "waiting"


def test_a_crash_that_nobody_is_to_process_can_be_wanted(idle: RunningServer) -> None:
    mine = sent(idle, header_only())
    queue_of(idle).forget(mine)
    assert "nobody is to process it" in page(idle, f"/report/{mine}")
    assert httpx.post(f"{idle.url}/report/{mine}/reprocess", timeout=30).status_code == 303
    assert server_state(idle, mine) == "waiting"
