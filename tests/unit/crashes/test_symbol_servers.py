"""Symbols of other servers: fetched once, checked, bounded, and not asked for again when nobody has them."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from missioncontrol.config import Crashes
from missioncontrol.crashes.symbols.servers import SymbolServers, make_servers
from missioncontrol.errors import ConfigError

ID = "4C1D7C5F2F41492B9369D6B9A05957720"
SYM = f"MODULE Linux x86_64 {ID} app\nFUNC 10 20 0 main\n".encode()


class Elsewhere:
    """A server with files; it notes what it is asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.endless: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if self.path in outer.moved:
                    self.send_response(302)
                    self.send_header("location", outer.moved[self.path])
                    self.end_headers()
                elif self.path in outer.endless:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(SYM)
                    with suppress(OSError):
                        while not outer.over.wait(0.05):
                            self.wfile.write(b"PUBLIC 10 0 again\n")
                elif self.path in outer.files:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(outer.files[self.path])
                else:
                    self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    found = Elsewhere()
    yield found
    found.close()


def servers(
    elsewhere: Elsewhere,
    folder: Path,
    most_bytes: int = 1 << 20,
    timeout_s: float = 10,
    cache_bytes: int = 1 << 30,
) -> SymbolServers:
    return SymbolServers(
        [f"{elsewhere.url}/a", f"{elsewhere.url}/b/"], folder, most_bytes, timeout_s, cache_bytes, 3600
    )


def kept(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_first_server_that_has_them_gives_them_once(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.files[f"/b/app/{ID}/app.sym"] = SYM
    fetching = servers(elsewhere, tmp_path)
    assert fetching.fetch([("app", ID), ("../x", ID), ("app", "nonsense")]) == [("app", ID)]
    assert (tmp_path / "app" / ID / "app.sym").read_bytes() == SYM
    count = len(elsewhere.asked)
    assert fetching.fetch([("app", ID)]) == [("app", ID)]
    assert len(elsewhere.asked) == count


def test_gzipped_and_moved_files_are_taken(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.moved[f"/a/app/{ID}/app.sym"] = f"{elsewhere.url}/store/1"
    elsewhere.files["/store/1"] = SYM
    elsewhere.files[f"/a/two.pdb/{ID}/two.sym.gz"] = gzip.compress(SYM.replace(b" app", b" two.pdb"))
    asked = [("app", ID), ("two.pdb", ID)]
    assert servers(elsewhere, tmp_path).fetch(asked) == asked


def test_what_nobody_has_is_not_asked_for_again(elsewhere: Elsewhere, tmp_path: Path) -> None:
    fetching = servers(elsewhere, tmp_path)
    assert fetching.fetch([("app", ID)]) == []
    count = len(elsewhere.asked)
    assert count == 4
    assert fetching.fetch([("app", ID)]) == [] and len(elsewhere.asked) == count


@pytest.mark.parametrize(
    "content",
    [
        b"<html>Not here</html>",
        SYM[:-3],
        SYM.replace(ID.encode(), b"1" + ID[1:].encode()),
        SYM + b"INFO " + b"x" * 1_100_000 + b"\n",
        b"",
    ],
    ids=["html", "cut", "lying", "too large", "empty"],
)
def test_bad_files_are_not_kept(elsewhere: Elsewhere, tmp_path: Path, content: bytes) -> None:
    elsewhere.files[f"/a/app/{ID}/app.sym"] = content
    elsewhere.files[f"/b/app/{ID}/app.sym.gz"] = gzip.compress(content)[:-4]
    assert servers(elsewhere, tmp_path).fetch([("app", ID)]) == []
    assert kept(tmp_path) == []


def test_a_bomb_is_stopped(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.files[f"/a/app/{ID}/app.sym.gz"] = gzip.compress(SYM + b"INFO x\n" * 10_000_000)
    assert servers(elsewhere, tmp_path).fetch([("app", ID)]) == []
    assert kept(tmp_path) == []


def test_a_server_that_never_ends_is_left(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.endless.add(f"/a/app/{ID}/app.sym")
    elsewhere.files[f"/b/app/{ID}/app.sym"] = SYM
    assert servers(elsewhere, tmp_path, timeout_s=0.5).fetch([("app", ID)]) == [("app", ID)]
    assert kept(tmp_path) == [f"app/{ID}/app.sym"]


def test_a_crash_waits_no_longer_than_its_share(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.crashes.symbols.servers.CRASH_BUDGET_S", 0.0)
    fetching = servers(elsewhere, tmp_path)
    fetching.begin()
    time.sleep(0.01)
    elsewhere.files[f"/a/app/{ID}/app.sym"] = SYM
    assert fetching.fetch([("app", ID)]) == [] and elsewhere.asked == []
    monkeypatch.undo()
    fetching.begin()
    assert fetching.fetch([("app", ID)]) == [("app", ID)]  # it was not taken for missing


def test_the_oldest_go_when_there_is_no_room(elsewhere: Elsewhere, tmp_path: Path) -> None:
    for number in range(4):
        name = f"app{number}"
        elsewhere.files[f"/a/{name}/{ID}/{name}.sym"] = SYM.replace(b" app", f" {name}".encode())
        fetching = servers(elsewhere, tmp_path, cache_bytes=3 * len(SYM))
        assert fetching.fetch([(name, ID)])
        time.sleep(0.02)
    assert [k.split("/")[0] for k in kept(tmp_path)] == ["app2", "app3"]


@pytest.mark.parametrize("base", ["file:///etc", "symbols.example.com", "ftp://x/", "https://x/?a=b"])
def test_addresses_that_are_none_are_refused(base: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        make_servers(Crashes(symbol_servers=[base]), tmp_path)
    assert refused.value.code == "symbol_servers_invalid"
    assert make_servers(Crashes(), tmp_path) is None
