"""Hostile crash reports against a running server: each ends in a named state, and the neighbours never notice.

What single parts do with more of the same kind: `test_crash_line`, `test_crash_collector`, `test_crash_disk_full`, and
`tests/unit/crashes`.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import minidumps
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import FUNCTIONS, Crash, dump_symbols, make_crash
from tests.support.server import RunningServer, running_server

PATIENCE_S = 120.0
NEIGHBOUR = "crasher"
UNREADABLE = "EMPTY: no crashing thread identified"


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    return make_crash(tmp_path_factory.mktemp("crash"))


class Line:
    """A server, and reports of good neighbours between the others."""

    def __init__(self, server: RunningServer, crash: Crash) -> None:
        self.server, self.crash = server, crash

    def process(self, dump: bytes, compress: bool = False, **annotations: str) -> dict[str, Any]:
        """The processed crash of a report; a neighbour that is sent after it is processed as well."""
        found = self._processed(self._sent(dump, compress, **annotations))
        assert self.neighbour() == NEIGHBOUR
        return found

    def neighbour(self) -> str:
        """The signature of a good report, sent now."""
        signature: str = self._processed(self._sent(self.crash.dump.read_bytes()))["signature"]
        return signature

    def _sent(self, dump: bytes, compress: bool = False, **annotations: str) -> str:
        given = {**ANNOTATIONS, "ProductName": "Mine", "n": os.urandom(8).hex(), **annotations}
        answer = send(self.server.url, report(given, upload_file_minidump=dump), compress=compress)
        assert answer.text.startswith("CrashID=bp-"), answer.text
        return answer.text.removeprefix("CrashID=bp-").strip()

    def _processed(self, crash_id: str) -> dict[str, Any]:
        answers: list[httpx.Response] = []

        def there() -> bool:
            answers.append(self.server.get("/api/ProcessedCrash/", crash_id=crash_id))
            return answers[-1].status_code == 200

        self.server.wait_until(there, PATIENCE_S)
        found: dict[str, Any] = answers[-1].json()
        assert found["success"] is True
        return found

    def processes(self, word: bytes) -> list[int]:
        """Processes of this server whose command line has the word."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                command = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
            except OSError:
                continue
            if word in command and str(self.server.data).encode() in command:
                found.append(int(folder.name))
        return found

    def check(self) -> None:
        """Nothing was set aside, nothing is left over."""
        queue = self.server.get("/crashes", format="json").json()
        assert queue["set_aside"] == []
        self.server.wait_until(
            lambda: not self.server.get("/crashes", format="json").json()["queue"]["waiting"]
        )


@pytest.fixture(scope="module")
def line(crash: Crash, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    settings = {"MC_STACKWALK__MEMORY_LIMIT_MB": "256", "MC_CRASHES__RULE_TIMEOUT_S": "5"}
    with running_server(tmp_path_factory.mktemp("hostile"), **settings) as server:
        yield Line(server, crash)


@pytest.mark.parametrize(
    ("dump", "status"),
    [
        (b"", "EmptyMinidump"),
        (b"MDMP", "MissingHeader"),
        (bytes(30_000_000), "HeaderMismatch"),
        (random.Random(3).randbytes(2_000_000), "HeaderMismatch"),
        (minidumps.header_only(), "MissingThreadList"),
    ],
    ids=["empty", "cut", "30 MB", "random", "malformed"],
)
def test_dumps_that_are_none(line: Line, dump: bytes, status: str) -> None:
    found = line.process(dump, compress=True)
    assert found["signature"] == f"{UNREADABLE}; {status}"
    line.check()


def test_a_dump_that_eats_memory_costs_the_walker_its_cache_and_nothing_else(line: Line) -> None:
    assert line.neighbour() == NEIGHBOUR
    [worker] = line.processes(b"process\0--follow")
    [walker] = line.processes(b"missioncontrol-stackwalk")
    found = line.process(minidumps.many_threads(2000))
    assert found["signature"] == f"{UNREADABLE}; MemoryLimit"
    [another] = line.processes(b"missioncontrol-stackwalk")
    assert another != walker
    for _ in range(5):
        assert line.neighbour() == NEIGHBOUR
    assert line.processes(b"missioncontrol-stackwalk") == [another], "it was started again once"
    assert line.processes(b"process\0--follow") == [worker]
    line.check()


def test_a_dump_that_would_take_minutes(crash: Crash, tmp_path: Path) -> None:
    settings = {"MC_STACKWALK__MEMORY_LIMIT_MB": "0", "MC_STACKWALK__TIMEOUT_S": "2"}
    with running_server(tmp_path, **settings) as server:
        line = Line(server, crash)
        found = line.process(minidumps.many_threads(3000))
        assert found["signature"] == f"{UNREADABLE}; Timeout"
        line.check()


def test_annotations_of_all_sizes_and_names(line: Line, crash: Crash) -> None:
    dump = crash.dump.read_bytes()
    many = line.process(dump, **{f"a{n}": "x" for n in range(10_000)})
    assert many["signature"] == NEIGHBOUR
    assert len(many["crash_report_keys"]) <= 2000
    large = line.process(
        dump, compress=True, Comments="x" * 21_000_000, TelemetryEnvironment="y" * 10_000_000
    )
    assert large["signature"] == NEIGHBOUR
    named = line.process(dump, **{"../x": "1", "../../etc/passwd": "2", "Odd\0": "3"})
    assert named["signature"] == NEIGHBOUR
    outside = [p for p in line.server.data.parent.rglob("*") if p.name in ("x", "passwd")]
    assert outside == []
    line.check()


def test_a_signature_list_that_never_comes_to_an_end(line: Line, crash: Crash) -> None:
    [worker] = line.processes(b"process\0--follow") or [None]
    lists = line.server.data / "signature-lists" / "general"
    lists.mkdir(parents=True)
    (lists / "prefix.txt").write_text(".*" * 60 + "\\n\n@shipped\n")
    crash_id = line._sent(crash.dump.read_bytes())
    found = line._processed(crash_id)
    assert found["signature"] == "EMPTY: crash failed to process"
    assert "name_crash: given up after 5 s" in found["processor_notes"]
    (lists / "prefix.txt").unlink()
    assert line.neighbour() == NEIGHBOUR
    line.server.run("crash", "reprocess", crash_id)
    line.server.wait_until(lambda: line._processed(crash_id)["signature"] == NEIGHBOUR, PATIENCE_S)
    assert line.processes(b"process\0--follow") == [worker] or worker is None
    line.check()


@pytest.mark.embedded_only(
    "puts broken files into the folder of symbols, which a bucket takes only from the store"
)
def test_symbols_that_are_cut_huge_or_lie(crash: Crash, tmp_path: Path) -> None:
    """In the folder of the store, where a damaged disk or a hand may have put them."""
    settings = {"MC_STACKWALK__MEMORY_LIMIT_MB": "256", "MC_STACKWALK__MISSING_TTL_S": "0"}
    with running_server(tmp_path, **settings) as server:
        line = Line(server, crash)
        root = server.data / "blobs" / "symbols"
        dump_symbols(root, crash.binary)
        assert line.neighbour() == FUNCTIONS[0]
        [file] = root.rglob("*.sym")
        whole = file.read_bytes()
        head, _, rest = whole.partition(b"\n")
        lying = head.rsplit(b" ", 2)[0][:-8] + b"00000000 " + head.rsplit(b" ", 1)[1] + b"\n" + rest
        more = b"FUNC 10 10 0 f\n" * 20_000
        parts = ([whole[: len(whole) // 2 - 7]], [lying], [whole, *[more] * 1000], [], [b"\0" * 1_000_000])
        for content in (*parts, [whole]):
            with file.open("wb") as opened:
                opened.writelines(content)
            for walker in line.processes(b"missioncontrol-stackwalk"):
                os.kill(walker, signal.SIGKILL)  # the next one has read nothing yet
            assert line.neighbour() in (NEIGHBOUR, FUNCTIONS[0])
        assert line.neighbour() == FUNCTIONS[0]
        line.check()
