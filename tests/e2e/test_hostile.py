"""A hostile client against a running server: everything it sends is refused or discarded under a name of its own.

Between any two attacks a good neighbour sends a ping. At the end every neighbour is counted, the table `discards`
holds exactly what was sent, the stream's memory stayed bounded, and no address of any client was written anywhere.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import socket
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.form import everything_stored
from tests.support.judging_clients import children
from tests.support.pings import DROP, crash_ping, main_ping
from tests.support.server import RunningServer, running_server
from tests.unit.ingest.conftest import write_database

from missioncontrol.config import Edge
from missioncontrol.registry.compile import compile_document
from missioncontrol.registry.decode import Shape
from missioncontrol.registry.load import load_registry

MAX_BODY = Edge().max_body_bytes
TODAY = time.strftime("%Y%m%d", time.gmtime())
BUILD_ID = TODAY + "093000"
MIDNIGHT = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
CLIENT = "127.77.88.99"
"""The address that the hostile client really has: all of 127/8 is this machine."""
CLAIMED = "198.51.100.7"
STREAM_PEAK_BYTES = 600 * 1024 * 1024
NEIGHBOUR = "133.0-neighbour"
HEADER_TIMEOUT_S = 0.7
BODY_TIMEOUT_S = 1.5


def ping(length: Any = 3600, **changes: Any) -> dict[str, Any]:
    fresh = {
        "application__buildId": BUILD_ID,
        "environment__build__buildId": BUILD_ID,
        "payload__info__subsessionStartDate": MIDNIGHT,
    }
    return main_ping(length, **{**fresh, **changes})


def as_bytes(ping: dict[str, Any]) -> bytes:
    return json.dumps(ping).encode()


class Hostile:
    """Sends one attack after the other, each followed by a neighbour, and keeps the books."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.neighbours = 0
        self.counted = 0
        self.discards: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()

    def post(
        self, body: bytes, *reasons: str, counted: bool = False, status: int = 200, **address: str
    ) -> None:
        """One whole request; `reasons` are those that `discards` must have for it."""
        headers = {k.replace("_", "-"): v for k, v in address.items() if k.startswith(("content_", "x_"))}
        parts = {k: v for k, v in address.items() if k.replace("_", "-") not in headers}
        self.request("POST", path(**parts), body, headers, status)
        self.counted += counted
        self.expect(*reasons)

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Any = (), status: int = 200
    ) -> bytes:
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.server.port, 30, (CLIENT, 0))
        ) as connection:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            text = answer.read()
        self.statuses[answer.status] += 1
        assert answer.status == status, (method, target[:200], answer.status, text[:300])
        return text

    def raw(
        self, data: bytes | Iterable[bytes], status: int | None, *reasons: str, half_close: bool = False
    ) -> None:
        """Bytes on a socket; `status` None where the server has nobody to answer."""
        with socket.create_connection(("127.0.0.1", self.server.port), 30, (CLIENT, 0)) as connection:
            for piece in [data] if isinstance(data, bytes) else data:
                try:
                    connection.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            if status is not None:
                found = int(connection.recv(65536).split()[1])
                self.statuses[found] += 1
                assert found == status
        self.expect(*reasons)

    def expect(self, *reasons: str) -> None:
        """Note what `discards` (or, of counted pings, `notes`) must count for the attack just made, and let a neighbour send a ping."""
        self.discards.update(reasons)
        good = as_bytes(ping(application__displayVersion=NEIGHBOUR))
        assert self.server.post(path(), good).status_code == 200
        self.neighbours += 1

    def check(self) -> None:
        """Everything is where it belongs."""
        for _ in range(8):
            self.server.settle()
            if self.found() == self.discards:  # refusals of the edge reach the log within about a second
                break
            time.sleep(0.5)
        assert dict(self.found()) == dict(self.discards)
        rows = self.server.sql(
            f"SELECT coalesce(sum(\"count\") FILTER (display_version = '{NEIGHBOUR}'), 0)::INT AS neighbours,"
            ' coalesce(sum("count"), 0)::INT AS everybody FROM error_aggregates'
        )
        assert rows == [{"neighbours": self.neighbours, "everybody": self.neighbours + self.counted}]
        assert not [status for status in self.statuses if status >= 500 and status != 507]
        assert "Traceback" not in self.server.talk
        assert "extraction_failed" not in self.server.talk

    def found(self) -> Counter[str]:
        rows = self.server.sql(
            'SELECT reason, sum("count")::INT AS n FROM (FROM discards UNION ALL FROM notes) GROUP BY 1'
        )
        return Counter({row["reason"]: row["n"] for row in rows})


def path(
    kind: str = "main",
    application: str = "Firefox",
    channel: str = "release",
    build_id: str = BUILD_ID,
    document_id: str = "",
) -> str:
    identity = document_id or str(uuid.uuid4())
    return f"/submit/telemetry/{identity}/{kind}/{application}/133.0/{channel}/{build_id}?v=4"


def head(*lines: str, method: str = "POST", target: str = "") -> bytes:
    return "\r\n".join([f"{method} {target or path()} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def zeros_gzip(size_mb: int) -> bytes:
    """A gzip stream of so many MB of zeros, made in no time: one flushed block, repeated."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = stream.compress(bytes(1024 * 1024)) + stream.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(size_mb if size_mb < 100 else 0):
        crc = zlib.crc32(bytes(1024 * 1024), crc)
    size = (size_mb * 1024 * 1024) & 0xFFFFFFFF
    start = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return start + block * size_mb + stream.flush() + crc.to_bytes(4, "little") + size.to_bytes(4, "little")


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Hostile]:
    database = tmp_path / "countries.mmdb"
    write_database(
        database,
        {
            "127.77.0.0/16": {"country": {"iso_code": "NZ"}},
            "198.51.100.0/24": {"country": {"iso_code": "DE"}},
        },
    )
    environment = {
        "MC_EDGE__HEADER_TIMEOUT_S": str(HEADER_TIMEOUT_S),
        "MC_EDGE__BODY_TIMEOUT_S": str(BODY_TIMEOUT_S),
        "MC_EDGE__GEO_DATABASE": str(database),
        "MC_STREAM__MIN_INTERVAL_S": "0.2",
    }
    with running_server(tmp_path, **environment) as server:
        yield Hostile(server)


def test_bodies_that_cannot_be_read_are_each_counted_under_their_reason(hostile: Hostile) -> None:
    good = as_bytes(ping())
    packed = gzip.compress(good)
    for cut in (1, 2, 9, 10, 11, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        hostile.post(packed[:cut], "bad_gzip" if cut == 1 else "truncated_gzip", content_encoding="gzip")
    hostile.post(good, "bad_gzip", content_encoding="gzip")
    hostile.post(packed[:-8] + bytes(8), "bad_gzip", content_encoding="gzip")
    hostile.post(packed[:20] + b"\xff" * 40 + packed[60:], "bad_gzip", content_encoding="gzip")
    hostile.post(packed, counted=True)  # gzip that nobody announced is understood
    hostile.post(good, "unsupported_encoding", content_encoding="br")
    hostile.post(b"", "empty_body")
    for cut in range(1, len(good), len(good) // 23):
        hostile.post(good[:cut], "not_json")
    for body in (
        b"null",
        b"[]",
        b"5",
        b'"ping"',
        b"\x00" * 50,
        b"\xff\xfe\xfd",
        b"NaN",
        b"{]",
        good + b"}",
        b" " * MAX_BODY,
    ):
        hostile.post(body, "not_json")
    hostile.post(b"{}", "missing_field")
    for deep in (
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"payload":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ):
        hostile.post(deep, "nested_too_deeply")
    hostile.check()


def test_bombs_cost_the_stream_no_memory(hostile: Hostile) -> None:
    for _ in range(4):
        hostile.post(zeros_gzip(50), "too_large_inflated", content_encoding="gzip")
        hostile.post(zeros_gzip(1024), "too_large_inflated", content_encoding="gzip")
    many = {f"experiment-{n}": {"branch": "b"} for n in range(150_000)}
    crowd = gzip.compress(as_bytes(ping(environment__experiments=many)), 1)
    hostile.post(crowd, "experiments_not_counted", counted=True, content_encoding="gzip")
    lists = b'{"payload":[' + b"[]," * 2_500_000 + b"[]]}"
    hostile.post(gzip.compress(lists, 1), "missing_field", content_encoding="gzip")
    hostile.check()
    process = hostile.server.process
    assert process is not None
    (stream,) = children(process.pid)
    status = Path(f"/proc/{stream}/status").read_text()
    peak_bytes = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert peak_bytes < STREAM_PEAK_BYTES
    experiments = hostile.server.sql("SELECT count(DISTINCT experiment_id) AS n FROM experiment_aggregates")
    assert experiments == [{"n": 101}]  # of the crowd 100, of the neighbours one


_DIMENSIONS = {
    "environment.build.version", "environment.build.buildId", "environment.build.architecture",
    "environment.system.os.name", "environment.system.os.version", "application.displayVersion",
}  # fmt: skip


def consequences(keys: tuple[str, ...], shape: Shape) -> tuple[str, bool]:
    """What a list at a declared path of a main ping must lead to: the reason, and whether the ping counts."""
    text = ".".join(keys)
    if text in _DIMENSIONS:
        return "wrong_type", False
    if text == "payload.info.subsessionLength":
        return "subsession_length", False
    if text == "payload.info.subsessionStartDate":
        return "activity_not_placed", True
    if shape is Shape.BUCKETS or text == "payload.simpleMeasurements.firstPaint":
        return "value_not_counted", True
    return ("experiments_not_counted" if shape is Shape.BRANCHES else ""), True


def test_a_wrong_type_at_any_declared_path_is_counted_under_what_it_spoils(hostile: Hostile) -> None:
    registry = load_registry()
    decoder = compile_document(registry, registry.documents["main"]).decoder
    assert {".".join(keys) for keys in decoder._shapes} >= _DIMENSIONS
    for keys, shape in decoder._shapes.items():
        reason, counted = consequences(keys, shape)
        spoiled = ping()
        node = spoiled
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = [1]
        hostile.post(as_bytes(spoiled), *([reason] if reason else []), counted=counted)
    hostile.check()


def test_odd_values_are_discarded_by_reason_or_counted_without_harm(hostile: Hostile) -> None:
    post = hostile.post
    huge, histogram = 10**400, "payload__histograms__SLOW_SCRIPT_NOTICE_COUNT"
    odd_text = as_bytes(ping(environment__system__os__name="Win\x00\ud800dows"))
    post(odd_text, counted=True)
    post(as_bytes(ping(-5)), counted=True)
    post(as_bytes(ping(huge)), "activity_not_placed", counted=True)  # 25 h, as all lengths beyond a day's
    post(as_bytes(ping(1.5)), "subsession_length")
    post(as_bytes(ping(True)), "subsession_length")
    post(as_bytes(ping(payload__info__subsessionLength=DROP)), "subsession_length")
    for values in (
        [5],
        {"values": [5]},
        {"values": {"0": -1}},
        {"values": {"0": huge}},
        {"values": {"0": 2**53}},
    ):
        post(
            as_bytes(ping(**{histogram: values})),
            *(["value_not_counted"] if "values" in values else []),
            counted=True,
        )
    post(
        as_bytes(ping(payload__simpleMeasurements__firstPaint="x", **{histogram: {"values": {"--5": 1}}})),
        "value_not_counted",
        counted=True,
    )
    wide = {"values": {str(150 + n): 2**40 for n in range(3000)}}
    post(as_bytes(ping(payload__histograms__GC_MAX_PAUSE_MS_2=wide)), "value_not_counted", counted=True)
    post(as_bytes(ping())[:-1] + b',"payload":{"info":{"subsessionLength":"x"}}}', "subsession_length")
    post(as_bytes(ping(creationDate="2199-01-01T00:00:00Z")), counted=True)
    post(
        as_bytes(ping(payload__info__subsessionStartDate="2199-01-01T00:00:00Z")),
        "activity_not_placed",
        counted=True,
    )
    post(as_bytes(ping(environment__build__buildId="20990101000000")), "build_age")
    post(as_bytes(ping(environment__build__buildId="20090101000000")), "build_age")
    post(as_bytes(ping(environment__build__buildId="no build")), "build_age")
    post(as_bytes(ping(environment__build__buildId=BUILD_ID[:13])), counted=True, build_id=BUILD_ID[:13])
    post(as_bytes(ping(environment__build__version="9" * 300)), "value_too_long")
    post(as_bytes(ping()), counted=True, application="Nightmare")
    post(as_bytes(ping()), "document_type", kind="modules")
    post(as_bytes(ping()), "document_type", kind="other")
    post(as_bytes(ping()), "channel_dropped", channel="default-of-a-fork")
    post(as_bytes(ping()), "automation", x_source_tags="automation")
    post(
        as_bytes(crash_ping("gpu", environment__build__buildId=BUILD_ID)), "crash_process_type", kind="crash"
    )
    same = str(uuid.uuid4())
    post(as_bytes(ping()), counted=True, document_id=same)
    post(as_bytes(ping()), "duplicate", document_id=same)
    post(b"not even JSON", "duplicate", document_id=same.upper())
    hostile.request("POST", f"/submit/org-example/baseline/1/{uuid.uuid4()}", as_bytes(_baseline(huge)))
    hostile.counted += 1
    hostile.expect("value_not_counted")
    hostile.check()
    names = hostile.server.sql("SELECT os_name FROM error_aggregates WHERE os_name LIKE '%\ufffd%'")
    assert names == [{"os_name": "Win\ufffd\ufffddows"}]


def _baseline(seconds: Any) -> dict[str, Any]:
    return {
        "ping_info": {"start_time": MIDNIGHT},
        "client_info": {
            "app_build": BUILD_ID,
            "app_channel": "release",
            "app_display_version": "1.0",
            "os": "Linux",
        },
        "metrics": {"timespan": {"glean.baseline.duration": {"value": seconds, "time_unit": "second"}}},
    }


def test_broken_http_is_refused_by_name_and_counted(hostile: Hostile) -> None:
    raw, request = hostile.raw, hostile.request
    body = as_bytes(ping())
    for target in ("/submit/telemetry/../../etc/passwd", "/submit/%2e%2e/%2e%2e/etc/passwd", "/submit/",
                   "/submit/telemetry/a/main/Firefox/1/release/%00?v=4", "/submit/telemetry/a/main/F%2F..%2Fx/1/r/1?v=4",
                   "/submit/telemetry/a/main/Firefox?v=4"):  # fmt: skip
        request("POST", target, body, status=404)
        hostile.expect("edge_unknown_address")
    for query in ("", "?v=5", "?v=4&v=4", "?v=4';DROP TABLE pings"):
        request("POST", path().removesuffix("?v=4") + query.replace(" ", "%20"), body, status=400)
        hostile.expect("edge_missing_version")
    request("PUT", path(), body)
    hostile.counted += 1
    for method in ("DELETE", "OPTIONS", "GET", "PATCH", "TRACE"):
        request(method, path(), status=405)
        hostile.expect("edge_method_not_allowed")
    raw(head(f"Content-Length: {MAX_BODY + 1}"), 413, "edge_body_too_large")
    chunk = b"%x\r\n%s\r\n" % (1024 * 1024, b" " * 1024 * 1024)
    raw(
        [head("Transfer-Encoding: chunked"), *[chunk] * 8, b"1\r\n \r\n0\r\n\r\n"], 413, "edge_body_too_large"
    )
    raw([b"POST /submit/", *[b"a" * 1024 * 1024] * 9], 414, "edge_path_too_long")
    raw(head(), 411, "edge_length_required")
    raw(head("Content-Length: 5", "Content-Length: 6") + b"12345", 400, "edge_malformed_http")
    raw(head("Content-Length: 5, 6") + b"12345", 400, "edge_malformed_http")
    raw(head("Content-Length: -5") + b"12345", 400, "edge_malformed_http")
    raw(head("Content-Length: 5", "Transfer-Encoding: chunked") + b"12345", 400, "edge_malformed_http")
    raw(head("Content-Length: 9" + "9" * 30), 400, "edge_malformed_http")
    raw(head("Transfer-Encoding: chunked") + b"zz\r\n", 400, "edge_malformed_http")
    raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "edge_malformed_http")
    raw(head("X-Big: " + "y" * 70_000, "Content-Length: 1"), 431, "edge_headers_too_large")
    raw(head("User-Agent: " + "y" * 2000, "Content-Length: 1") + b"1", 431, "edge_kept_header_too_large")
    raw(head("Content-Length: 1000") + b"12345", None, "edge_client_gone")
    raw(head("Content-Length: 1000") + b"12345", 408, "edge_body_timeout")
    raw(head("Content-Length: 5")[:-6], 408, "edge_header_timeout")
    raw(_dripping(), 408, "edge_header_timeout")
    hostile.check()


def _dripping() -> Iterator[bytes]:
    """A slow-loris: a byte of a header now and then."""
    yield head("Content-Length: 5")[:-2]
    for _ in range(6):
        yield b"X"
        time.sleep(HEADER_TIMEOUT_S / 4)


SQL = (
    "' OR 1=1 --",
    "1; DROP TABLE pings",
    "channel) FROM pings --",
    "x' UNION SELECT body FROM pings --",
    '"',
    "\x00",
    "read_csv('/etc/passwd')",
)
PARAMETERS = ("measurements", "dimensions", "interval", "group_by", "order", "limit", "format", "per", "channel", "build_id", "window_start", "submission_date", "version", "experiment_id", "column", "application", "measure", "q", "as_of", "nothing")  # fmt: skip
PLACES = (
    "/api/aggregates/",
    "/api/v1/aggregates",
    "/api/v1/values",
    "/api/v1/registry",
    "/api/v1/pipeline",
    "/pipeline",
    "/",
)


def test_sql_in_parameters_is_data_or_refused_and_harms_nothing(hostile: Hostile) -> None:
    hostile.expect()
    hostile.server.settle()
    choices = random.Random(7)
    client = httpx.Client(base_url=hostile.server.url, timeout=60)
    for place in PLACES:
        for parameter in PARAMETERS:
            for text in choices.sample(SQL, 2):
                given: dict[str, Any] = {"measurements": "main_crashes", parameter: text}
                answer = client.get(place, params=given)
                hostile.statuses[answer.status_code] += 1
                assert answer.status_code in (200, 400, 404), (place, parameter, text, answer.text)
                assert "root:" not in answer.text
                if answer.status_code == 400 and place.startswith("/api"):
                    assert answer.json().keys() == {"code", "message", "hint"}
    for query in SQL:
        answer = (
            hostile.server._client().post("/api/v1/sql", json={"query": query})
            if hasattr(hostile.server, "_client")
            else hostile.server.post(
                "/api/v1/sql", as_bytes({"query": query}), content_type="application/json"
            )
        )
        assert 400 <= answer.status_code < 500
    hostile.check()


def test_every_reason_and_its_samples_are_shown_on_the_pipeline_page(hostile: Hostile) -> None:
    hostile.post(b"<script>alert(1)</script>", "not_json")
    hostile.post(as_bytes(ping())[:200], "not_json")
    hostile.post(b"", "empty_body")
    hostile.post(as_bytes(ping(1.5)), "subsession_length")
    hostile.post(as_bytes(ping()), "document_type", kind="modules")
    hostile.request("DELETE", path(), status=405)
    hostile.expect("edge_method_not_allowed")
    hostile.check()
    status = hostile.server.get("/api/v1/pipeline").json()
    told = {d["reason"]: d for d in status["discards"] + status["notes"]}
    assert {reason: d["last_hour"] for reason, d in told.items()} == dict(hostile.discards)
    assert all(d["explanation"] for d in told.values())
    samples = {(s["reason"], s["preview"]) for s in status["samples"]}
    assert ("not_json", "<script>alert(1)</script>") in samples
    assert {reason for reason, _ in samples} == {
        "not_json",
        "empty_body",
        "subsession_length",
        "document_type",
    }
    page = hostile.server.get("/pipeline")
    assert all(reason in page.text for reason in hostile.discards)
    assert "<script>alert(1)" not in page.text
    for sample in status["samples"]:
        body = hostile.server.get(f"/pipeline/samples/{sample['log_offset']}")
        assert body.status_code == 200
        assert body.content[:25].decode() == sample["preview"][:25]
        assert "html" not in body.headers["content-type"]


def test_the_country_is_kept_and_the_address_is_nowhere(hostile: Hostile) -> None:
    hostile.post(as_bytes(ping()), counted=True, x_forwarded_for=CLAIMED)
    hostile.post(as_bytes(ping())[:50], "not_json", x_forwarded_for=CLAIMED)
    hostile.request("DELETE", path(), headers={"X-Forwarded-For": CLAIMED}, status=405)
    hostile.expect("edge_method_not_allowed")
    hostile.raw(b"nonsense\r\n\r\n", 400, "edge_malformed_http")
    hostile.raw(head("Content-Length: 5")[:-6], 408, "edge_header_timeout")
    hostile.request("GET", "/api/aggregates/?measurements=nonsense", status=400)
    hostile.check()
    countries = hostile.server.sql(
        "SELECT DISTINCT country FROM pings WHERE application = 'Firefox' ORDER BY 1"
    )
    assert countries == [
        {"country": "??"},
        {"country": "NZ"},
    ]  # neighbours come from where no country is known
    hostile.server.stop()
    written = dict(everything_stored(hostile.server.data))
    assert len(written) > 10
    for address in (CLIENT, CLAIMED):
        forms = (address.encode(), socket.inet_aton(address), address.encode("utf-16-le"))
        assert not [name for name, content in written.items() for one in forms if one in content]
        assert address not in hostile.server.talk
    columns = hostile.server.run("sql", "--format", "ndjson", "SELECT * EXCLUDE (body) FROM pings").stdout
    assert CLIENT not in columns
    assert CLAIMED not in columns
