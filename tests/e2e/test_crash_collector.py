"""The collector on a real server: what clients of crash reports are answered, and what is kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, BOUNDARY, multipart, part, report, send, send_bytes
from tests.support.form import write_settings
from tests.support.server import RunningServer, running_server

from missioncontrol.blobs.crash_keys import processed_key
from missioncontrol.config import load_config
from missioncontrol.services import Services

DUMP = b"MDMP" + bytes(range(256)) * 600
CRASH_ID = re.compile(r"CrashID=bp-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{5}0\d{6})\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("collector")) as server:
        yield server


def crash_id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    found = CRASH_ID.fullmatch(answer.text)
    assert found, answer.text
    return found[1]


def raw(server: RunningServer, crash: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/api/RawCrash/", params={"crash_id": crash}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def dump(server: RunningServer, crash: str, name: str = "upload_file_minidump") -> bytes:
    query = {"crash_id": crash, "format": "raw", "name": name}
    return httpx.get(f"{server.url}/api/RawCrash/", params=query, timeout=30).content


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_a_report_can_be_fetched_at_once(server: RunningServer, compress: bool, chunked: bool) -> None:
    body = report({**ANNOTATIONS, "n": f"{compress}{chunked}"}, upload_file_minidump=DUMP)
    crash = crash_id(send(server.url, body, compress=compress, chunked=chunked, user_agent="tests/1"))
    found = raw(server, crash)
    assert {k: found[k] for k in ANNOTATIONS} == ANNOTATIONS
    assert found["uuid"] == crash
    assert found["version"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", found["submitted_timestamp"])
    metadata = found["metadata"]
    size = metadata.pop("payload_size")
    assert 0 < size < len(body) if compress else size == len(body)
    assert metadata == {
        "payload": "multipart", "payload_compressed": "1" if compress else "0", "collector_notes": [],
        "dump_checksums": {"upload_file_minidump": hashlib.sha256(DUMP).hexdigest()}, "user_agent": "tests/1",
        "throttle_rule": "accept_all", "throttle_rate": 1.0,
    }  # fmt: skip
    assert dump(server, crash) == dump(server, crash, "dump") == DUMP


def test_firefox_sends_its_annotations_as_json(server: RunningServer) -> None:
    extra = {**ANNOTATIONS, "Email": "me@example.org", "TelemetryClientId": "c", "StartupCrash": "1"}
    parts = [
        part("extra", json.dumps(extra).encode(), "extra.json", "application/json"),
        part("upload_file_minidump", DUMP, "a.dmp", "application/x-dmp"),
        part("memory_report", b"gz", "memory.json.gz", "application/gzip"),
    ]
    crash = crash_id(send(server.url, multipart(parts)))
    found = raw(server, crash)
    assert found["metadata"]["payload"] == "json"
    assert found["StartupCrash"] == "1"
    assert "Email" not in found
    assert "TelemetryClientId" not in found
    notes = found["metadata"]["collector_notes"]
    assert "removed Email from raw crash" in notes
    assert "file upload_file_minidump came as application/x-dmp" in notes
    assert dump(server, crash, "memory_report") == b"gz"


def test_only_the_part_extra_carries_the_map(server: RunningServer) -> None:
    parts = [
        part("ProductName", b"Mine"),
        part("attachment", b'{"ProductName": "Evil"}', "a.json", "application/json"),
        part("breadcrumbs", b"[1]", None, "application/json"),
    ]
    crash = crash_id(send(server.url, multipart(parts)))
    found = raw(server, crash)
    assert found["ProductName"] == "Mine"
    assert found["breadcrumbs"] == "[1]"
    assert dump(server, crash, "attachment") == b'{"ProductName": "Evil"}'


def test_electron_and_crashpad_names_are_understood(server: RunningServer) -> None:
    electron = {
        "prod": "Electron", "ver": "39.1.0", "_productName": "Notes", "_version": "2.3.1", "process_type": "renderer",
        "platform": "linux", "guid": "g", "_companyName": "ACME", "rept": "x",
    }  # fmt: skip
    found = raw(server, crash_id(send(server.url, report(electron, upload_file_minidump=DUMP))))
    assert {k: found[k] for k in ("ProductName", "Version", "ProcessType", "Vendor", "prod")} == {
        "ProductName": "Notes", "Version": "2.3.1", "ProcessType": "content", "Vendor": "ACME", "prod": "Electron",
    }  # fmt: skip
    plain = report({"list_annotations": "a"}, upload_file_minidump=DUMP)
    found = raw(server, crash_id(send(server.url, plain, "/submit?product=Pad&version=9&guid=abc")))
    assert (found["ProductName"], found["Version"], found["guid"]) == ("Pad", "9", "abc")
    assert found["version"] == 2
    assert found["metadata"]["replaced_annotations"] == {"version": "9"}


def test_sentry_clients_are_answered_with_an_event_id(server: RunningServer) -> None:
    fields = {"sentry": json.dumps({"release": "notes@2.3.1", "environment": "beta"})}
    answer = send(server.url, report(fields, upload_file_minidump=DUMP), "/api/42/minidump/?sentry_key=abc")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.text), answer.text
    found = raw(server, answer.text)
    assert raw(server, answer.text.replace("-", "")) == found
    assert (found["ProductName"], found["Version"], found["ReleaseChannel"]) == ("notes", "2.3.1", "beta")


def test_a_resend_gets_the_first_id(server: RunningServer) -> None:
    body = report({**ANNOTATIONS, "n": "resend"}, upload_file_minidump=DUMP)
    other = body.replace(BOUNDARY, b"another-boundary-of-another-length")
    first = crash_id(send(server.url, body))
    again = send(
        server.url,
        other,
        compress=True,
        content_type="multipart/form-data; boundary=another-boundary-of-another-length",
    )
    assert crash_id(again) == first
    server.stop()
    server.start()
    assert crash_id(send(server.url, body, chunked=True)) == first
    assert crash_id(send(server.url, report({**ANNOTATIONS, "n": "x"}, upload_file_minidump=DUMP))) != first


def test_eight_at_once_get_one_id(server: RunningServer) -> None:
    body = report({**ANNOTATIONS, "n": "eight"}, upload_file_minidump=DUMP)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(server.url, body), range(8)))
    assert len({crash_id(a) for a in answers}) == 1


def test_a_report_without_files_is_one(server: RunningServer) -> None:
    crash = crash_id(
        send(server.url, report({"ProductName": "Fenix", "JavaStackTrace": "java.lang.Error: x"}))
    )
    assert raw(server, crash)["metadata"]["dump_checksums"] == {}
    missing = {"crash_id": crash, "format": "raw"}
    assert httpx.get(f"{server.url}/api/RawCrash/", params=missing).status_code == 404


def form(**headers: str) -> dict[str, str]:
    return headers


@pytest.mark.parametrize(
    ("answer", "status", "body", "headers"),
    [
        ("malformed_wrong_content_type", 400, b"{}", {"content_type": "application/json"}),
        ("malformed_no_boundary", 400, b"x", {"content_type": "multipart/form-data"}),
        ("malformed_invalid_payload_structure", 400, b"no multipart at all", {}),
        ("malformed_invalid_payload_structure", 400, report(upload_file_minidump=DUMP)[:-30], {}),
        ("malformed_no_annotations", 400, multipart([]), {}),
        ("malformed_no_annotations", 400, report({}, upload_file_minidump=DUMP), {}),
        ("malformed_bad_gzip", 400, report(), {"content_encoding": "gzip"}),
        ("malformed_unknown_encoding", 400, report(), {"content_encoding": "br"}),
        ("malformed_invalid_json", 400, multipart([part("extra", b"{", "extra.json", "application/json")]), {}),
        ("malformed_invalid_json_value", 400, multipart([part("extra", b"[]", "extra.json", "application/json")]), {}),
        ("malformed_invalid_dump_name", 400, report(raw_crash=b"x"), {}),
        ("malformed_too_many_files", 400, report(ANNOTATIONS, **{f"f{i}": b"" for i in range(21)}), {}),
        ("unauthorized_uuid", 401, report({**ANNOTATIONS, "uuid": "de1bb258-cbbf-4589-a673-34f800261126"}), {}),
    ],
)  # fmt: skip
def test_what_is_malformed_is_named(
    server: RunningServer, answer: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    found = send(server.url, body, **headers)
    assert (found.status_code, found.text) == (status, f"Discarded={answer}")


def test_a_token_may_bring_a_crash_id(tmp_path: Path) -> None:
    chosen = "de1bb258-cbbf-4589-a673-34f800261126"
    with running_server(tmp_path) as server:
        made = json.loads(
            server.run("token", "create", "--name", "move", "--scope", "ingest", "--json").stdout
        )
        other = json.loads(
            server.run(
                "token", "create", "--name", "look", "--scope", "read", "--scope", "protected", "--json"
            ).stdout
        )

        def bring(uuid: str, token: str, **more: str) -> httpx.Response:
            body = report({**ANNOTATIONS, "uuid": uuid, **more}, upload_file_minidump=DUMP)
            return send(server.url, body, authorization=f"Bearer {token}")

        assert bring(chosen, other["token"]).text == "Discarded=unauthorized_uuid"
        assert bring("x", made["token"]).text == "Discarded=malformed_invalid_uuid"
        assert crash_id(bring(chosen, made["token"])) == chosen
        assert crash_id(bring(chosen, made["token"])) == chosen, "a resend"
        assert bring(chosen, made["token"], n="other").text == "Discarded=uuid_taken"
        found = httpx.get(
            f"{server.url}/api/RawCrash/",
            params={"crash_id": chosen, "format": "raw", "name": "upload_file_minidump"},
            headers={"authorization": f"Bearer {other['token']}"},
        )
        assert found.content == DUMP

        services = Services(load_config(server.data))
        queue = services.crash_queue
        server.wait_until(lambda: queue.entry(chosen, datetime.now(UTC)) is None, 60.0)
        queue.forget_uploads(datetime.now(UTC) + timedelta(hours=1))
        assert bring(chosen, made["token"]).text == "Discarded=uuid_taken", "it is processed"
        services.blobs.delete(processed_key(chosen))  # now it is as if it had been stored and never queued
        assert bring(chosen, made["token"], n="other").text == "Discarded=uuid_taken"
        assert crash_id(bring(chosen, made["token"])) == chosen
        server.wait_until(lambda: services.blobs.exists(processed_key(chosen)), 60.0)
        services.close()

        for digit in "0123":  # several that bring the same id at once: one is taken and stays as it is
            wanted = f"de1bb258-cbbf-4589-a673-34f81{digit}261126"
            with ThreadPoolExecutor(8) as pool:
                answers = list(
                    pool.map(lambda n, w=wanted: bring(w, made["token"], Version=f"{n}.0"), range(8))
                )
            winners = [n for n, answer in enumerate(answers) if answer.status_code == 200]
            assert len(winners) == 1
            assert {a.text for n, a in enumerate(answers) if n not in winners} == {"Discarded=uuid_taken"}
            assert raw(server, wanted)["Version"] == f"{winners[0]}.0"


def test_other_methods_and_frames(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/submit").status_code == 405
    head = b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nConnection: close\r\n"
    assert b"Discarded=malformed_no_content_length" in send_bytes(server.port, head + b"\r\n")
    assert b"Discarded=malformed_no_content_length" in send_bytes(
        server.port, head + b"Content-Length: 0\r\n\r\n"
    )
    chunked = send_bytes(server.port, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 400 " in chunked
    assert b"Discarded=malformed_" in chunked
    assert b" 413 " in send_bytes(server.port, head + b"Content-Length: 26214401\r\n\r\n")
    no_type = head.replace(b"Content-Type: multipart/form-data; boundary=b\r\n", b"")
    assert b"Discarded=malformed_no_content_type" in send_bytes(
        server.port, no_type + b"Content-Length: 1\r\n\r\nx"
    )


def test_the_limit_holds_for_chunks_and_for_bombs(server: RunningServer) -> None:
    largest = 26_214_400
    room = largest - len(report(upload_file_minidump=b""))
    exact = report(upload_file_minidump=b"\0" * room)
    assert len(exact) == largest
    crash_id(send(server.url, exact))
    over = send(server.url, report(upload_file_minidump=b"\0" * (room + 1)), chunked=True)
    assert (over.status_code, over.text) == (413, "Discarded=too_large")
    bomb = send(server.url, report(upload_file_minidump=b"\0" * 300_000_000), compress=True)
    assert (bomb.status_code, bomb.text) == (413, "Discarded=too_large_inflated")


def test_strange_names_and_many_annotations(server: RunningServer) -> None:
    many = {f"a{i}": "x" for i in range(10_000)}
    found = raw(
        server, crash_id(send(server.url, report({**ANNOTATIONS, "../x": "1", "metadata": "mine", **many})))
    )
    assert found["../x"] == "1"
    assert found["metadata"]["replaced_annotations"] == {"metadata": "mine"}
    assert "left out: annotations beyond the first 2000" in found["metadata"]["collector_notes"]
    crash = crash_id(send(server.url, report({**ANNOTATIONS, "n": "names"}, **{"../../etc/passwd": b"file"})))
    assert dump(server, crash, "etcpasswd") == b"file"
    large = raw(server, crash_id(send(server.url, report({**ANNOTATIONS, "big": "x" * 21_000_000}))))
    assert "big" not in large
    assert any("big, which is too large" in note for note in large["metadata"]["collector_notes"])


@pytest.mark.parametrize(
    "wrong", ["", "x", "de1bb258cb269999", "de1bb258-cbbf-4589-a673-34f800269999", "../../x", "bp-"]
)
def test_ids_that_are_none(server: RunningServer, wrong: str) -> None:
    assert httpx.get(f"{server.url}/api/RawCrash/", params={"crash_id": wrong}).status_code == 400
    unknown = {"crash_id": "de1bb258-cbbf-4589-a673-34f800261126"}
    assert httpx.get(f"{server.url}/api/RawCrash/", params=unknown).status_code == 404
    assert httpx.get(f"{server.url}/api/ProcessedCrash/", params=unknown).status_code == 404


def test_products_have_their_own_answers_keys_and_rates(tmp_path: Path) -> None:
    write_settings(
        tmp_path / "data",
        '[ingest.products.Bare]\nanswer = "bare"\n[ingest.products.Old]\nanswer = "hex16"\n'
        '[ingest.products.Keyed]\nkey = "sesame"\n[ingest.products.Loud]\nper_minute = 2\n',
    )
    with running_server(tmp_path) as server:
        bare = send(server.url, report({"ProductName": "Bare"})).text
        assert raw(server, bare)["ProductName"] == "Bare"
        short = send(server.url, report({"ProductName": "Old"})).text
        assert re.fullmatch(r"[0-9a-f]{16}", short)
        found = raw(server, short)
        assert found["ProductName"] == "Old"
        for form in (found["uuid"].replace("-", ""), f"bp-{found['uuid']}", f"bp-{short}", short.upper()):
            assert raw(server, form) == found
        page = server.get(f"/report/{short}")
        assert (page.status_code, page.headers["location"]) == (303, f"/report/{found['uuid']}")
        assert json.loads(server.run("crash", "show", "--raw", short).stdout)["uuid"] == found["uuid"]
        assert server.get(f"/api/RawCrash/?crash_id=0000000000{short[-6:]}").status_code == 404
        refused = send(server.url, report({"ProductName": "Keyed"}))
        assert (refused.status_code, refused.text) == (401, "Discarded=unauthorized_key")
        crash_id(send(server.url, report({"ProductName": "Keyed"}), "/submit?key=sesame"))
        answers = [send(server.url, report({"ProductName": "Loud", "n": str(n)})) for n in range(3)]
        assert [a.status_code for a in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "60"
        again = send(server.url, report({"ProductName": "Loud", "n": "0"}))
        assert crash_id(again) == crash_id(answers[0]), (
            "a resend is answered as the first time, over the rate too"
        )


def test_mozillas_rules_throttle_and_keep_the_rate(tmp_path: Path) -> None:
    with running_server(tmp_path, MC_INGEST__THROTTLE="mozilla") as server:
        kept = []
        for n in range(200):
            answer = send(server.url, report({**ANNOTATIONS, "n": str(n)}))
            assert answer.status_code == 200
            if answer.text.startswith("CrashID="):
                kept.append(crash_id(answer))
            else:
                assert answer.text == "Discarded=rule_is_firefox_desktop"
        assert 5 <= len(kept) <= 45, "a tenth of 200"
        metadata = raw(server, kept[0])["metadata"]
        assert (metadata["throttle_rule"], metadata["throttle_rate"]) == (
            "is_firefox_desktop",
            pytest.approx(0.1),
        )
        assert send(server.url, report({"ProductName": "Mine"})).text == "Discarded=rule_unsupported_product"
        nightly = {**ANNOTATIONS, "ReleaseChannel": "nightly"}
        assert (
            raw(server, crash_id(send(server.url, report(nightly))))["metadata"]["throttle_rule"]
            == "is_nightly"
        )
        counted = {"reason": "edge_crash_rule_is_firefox_desktop", "n": 200 - len(kept)}
        query = "SELECT reason, sum(count) AS n FROM discards GROUP BY 1"
        server.wait_until(lambda: counted in server.sql(query))
