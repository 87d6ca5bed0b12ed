"""Symbols at a running server: by the command line, by HTTP as Tecken has it, and used by its workers at once."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.crash_flow import PATIENCE_S, processed, send_dump
from tests.support.crashes import Crash, dump_symbols, make_crash
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import make_token

ID = "4C1D7C5F2F41492B9369D6B9A05957720"
SYM = f"MODULE Linux x86_64 {ID} app\nFUNC 10 20 0 main\n10 20 7 0\nSTACK CFI 10 .cfa: $rsp 8 +\n".encode()
PATH = f"app/{ID}/app.sym"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    limits = {"MC_CRASHES__SYMBOL_UPLOAD_MAX_BYTES": "2000000", "MC_STACKWALK__MISSING_TTL_S": "3600"}
    with running_server(tmp_path_factory.mktemp("symbols"), **limits) as server:
        yield server


@pytest.fixture(scope="module")
def token(server: RunningServer) -> dict[str, str]:
    return {"auth-token": make_token(server, "symbols")["token"]}


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    return make_crash(tmp_path_factory.mktemp("crash"))


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def upload(server: RunningServer, token: dict[str, str], *files: tuple[str, bytes]) -> httpx.Response:
    parts = [("file", file) for file in files]
    return httpx.post(f"{server.url}/upload/", files=parts, headers=token, timeout=60)


def listed(server: RunningServer) -> dict[str, dict[str, Any]]:
    return {s["debug_file"]: s for s in json.loads(server.run("symbols", "list", "--json").stdout)}


# ---- a crash and its symbols


def test_symbols_that_are_uploaded_name_the_next_walk(
    server: RunningServer, crash: Crash, tmp_path: Path
) -> None:
    crash_id = send_dump(server, crash.dump)
    assert processed(server, crash_id)["signature"] == "crasher"
    missing = json.loads(_missing_once_there(server))
    [own] = [m for m in missing if m["filename"] == "crasher"]
    assert (own["owner"], own["crashes"], own["arrived"]) == ("yours", 1, False)
    assert own["command"] == "missioncontrol symbols upload crasher"
    libc = [m for m in missing if m["filename"].startswith("libc")]
    assert all(m["owner"] == "system" and "debuginfo" in m["command"] for m in libc)

    done = server.run("symbols", "upload", str(crash.binary), "--json")
    [told] = json.loads(done.stdout)
    assert (told["outcome"], told["debug_file"]) == ("new", "crasher")
    assert told["has"] == ["symbols", "unwind", "lines"] and told["debug_id"] == own["debug_id"]
    [there] = [
        m for m in json.loads(server.run("symbols", "missing", "--json").stdout) if m["filename"] == "crasher"
    ]
    assert there["arrived"] and "crash reprocess --missing" in there["command"]

    server.run("crash", "reprocess", "--missing", own["debug_id"])
    assert processed(server, crash_id, after=0)["signature"] == "poke_widget"
    again = server.run("symbols", "upload", str(crash.binary))
    assert again.stdout.startswith("already_there  crasher") and "1 already there." in again.stderr


def _missing_once_there(server: RunningServer) -> str:
    said: list[str] = []

    def there() -> bool:
        said[:] = [server.run("symbols", "missing", "--json").stdout]
        return "crasher" in said[0]

    server.wait_until(there, PATIENCE_S, pause_s=0.5)
    return said[0]


def test_the_api_lists_what_is_missing(server: RunningServer) -> None:
    assert isinstance(server.get("/api/v1/symbols/missing").json(), list)
    assert server.get("/api/v1/symbols/missing", days="0").status_code == 400


# ---- the command line


def test_the_command_line_tells_what_became_of_each_file(server: RunningServer, tmp_path: Path) -> None:
    folder = tmp_path / "symbols"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "app.sym").write_bytes(SYM.replace(b" app", b" byfolder"))
    (folder / "README").write_text("words")
    (folder / "cut.sym").write_bytes(SYM[:-3])
    done = server.run("symbols", "upload", str(folder), check=False)
    assert done.returncode == 1
    assert f"new            byfolder {ID} (symbols unwind lines; 0.1 kB)" in done.stdout
    assert "symbols_cut" in done.stdout and "Traceback" not in done.stderr
    assert "1 new, 1 refused, 1 other files left alone." in done.stderr
    assert "byfolder" in server.run("symbols", "list").stdout
    server.run("symbols", "remove", "byfolder", ID)
    assert "byfolder" not in listed(server)
    assert server.run("symbols", "remove", "byfolder", ID, check=False).returncode == 1
    assert server.run("symbols", "remove", "../x", ID, check=False).returncode == 2


def test_symbols_go_to_a_server_elsewhere(
    server: RunningServer, token: dict[str, str], crash: Crash, tmp_path: Path
) -> None:
    elsewhere = RunningServer(tmp_path, {})
    (tmp_path / "s.zip").write_bytes(zipped({"x.sym": SYM.replace(b" app", b" zipped")}))
    cut = tmp_path / "cut.sym"
    cut.write_bytes(SYM[:-3])
    paths = (str(crash.binary), str(tmp_path / "s.zip"), str(cut))
    options = ("--url", server.url, "--token", token["auth-token"], "--json")
    done = elsewhere.run("symbols", "upload", *paths, *options, check=False)
    told = {Path(r["file"]).name: (r["outcome"], r.get("reason", "")) for r in json.loads(done.stdout)}
    assert told["s.zip:x.sym"] == ("new", "") and told["cut.sym"] == ("refused", "symbols_cut")
    assert told["crasher"][0] in ("new", "already_there")
    assert not (elsewhere.data / "blobs" / "symbols").exists()
    refused = elsewhere.run("symbols", "upload", str(crash.binary), "--url", server.url, check=False)
    assert refused.returncode == 1 and "needs the scope `symbols`" in refused.stderr
    nobody = elsewhere.run("symbols", "upload", str(crash.binary), "--url", "http://127.0.0.1:9", check=False)
    assert nobody.returncode == 1 and "Traceback" not in nobody.stderr


# ---- HTTP


def test_uploads_need_the_scope(server: RunningServer, token: dict[str, str]) -> None:
    assert upload(server, {}, ("app.sym", SYM)).status_code == 401
    reader = {"auth-token": make_token(server, "read")["token"]}
    assert upload(server, reader, ("app.sym", SYM)).status_code == 403
    assert httpx.put(f"{server.url}/{PATH}", content=SYM, headers=reader).status_code == 403


def test_a_zip_comes_by_upload_and_goes_by_download(server: RunningServer, token: dict[str, str]) -> None:
    content = {f"app/{ID}/app.sym": SYM, "app-symbols.txt": b"list", "bad.sym": b"nothing"}
    answer = upload(server, token, ("symbols.zip", zipped(content)))
    assert answer.status_code == 201
    told = answer.json()["upload"]
    assert [(f["key"], f["update"]) for f in told["files"]] == [(PATH, False)]
    assert len(told["ignored_keys"]) == 2
    again = upload(server, token, ("symbols.zip", zipped(content))).json()["upload"]
    assert (again["files"], again["skipped_keys"]) == ([], [PATH])
    for path in (f"/{PATH}", f"/symbols/{PATH}", f"/symbols/app/{ID.lower()}/app.sym"):
        got = server.get(path)
        assert (got.status_code, got.content) == (200, SYM), path
        head = httpx.head(server.url + path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(SYM)))
    for path in (f"/app/{ID[:-1]}1/app.sym", f"/app/{ID}/other.sym", f"/..%2fapp/{ID}/app.sym"):
        assert server.get(path).status_code == 404, path


def test_one_file_is_put_where_it_belongs(server: RunningServer, token: dict[str, str]) -> None:
    own = SYM.replace(b" app", b" put")
    path = f"{server.url}/symbols/put/{ID}/put.sym"
    first = httpx.put(path, content=own, headers=token)
    assert (first.status_code, first.json()["outcome"]) == (201, "new")
    assert httpx.put(path, content=own, headers=token).json()["outcome"] == "already_there"
    lying = httpx.put(path, content=SYM, headers=token)
    assert (lying.status_code, lying.json()["code"]) == (400, "symbols_lying")
    assert server.get(f"/put/{ID}/put.sym").content == own


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "symbols_not_symbols"),
        (b"PK\3\4 nothing", 400, "zip_invalid"),
        (b"\x7fELF", 400, "symbols_binary"),
        (SYM[:-2], 400, "symbols_cut"),
        (b"x" * 2_100_000, 413, "upload_too_large"),
    ],
)
def test_bad_uploads_are_refused_by_name(
    server: RunningServer, token: dict[str, str], content: bytes, status: int, code: str
) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (content[at : at + 100_000] for at in range(0, len(content), 100_000))

    url = f"{server.url}/upload/"
    whole = upload(server, token, ("file", content))
    assert (whole.status_code, whole.json()["code"]) == (status, code)
    body = httpx.post(url, content=content, headers=token)
    assert (body.status_code, body.json()["code"]) == (status, code)
    chunked = httpx.post(url, content=pieces(), headers=token)
    assert (chunked.status_code, chunked.json()["code"]) == (status, code)


def test_symupload_alone_takes_the_token_out_of_the_address(
    server: RunningServer, token: dict[str, str]
) -> None:
    secret = token["auth-token"]

    def post(path: str, **options: Any) -> int:
        form = {"symbol_file": ("app.sym", SYM.replace(b" app", b" bysymupload"))}
        return httpx.post(server.url + path, files=form, **options).status_code

    assert [post("/symupload", auth=auth) for auth in (("me", secret), (secret, ""))] == [200, 200]
    assert listed(server)["bysymupload"]["debug_id"] == ID
    assert post("/symupload", headers=token) == 200
    assert post("/symupload", auth=("me", "mc_wrong")) == 401
    assert post("/symupload", headers={"authorization": "Basic ???"}) == 401
    assert post("/symupload", auth=("me", secret), headers={"origin": server.url}) == 401, "no browser"
    assert post("/upload/", auth=("me", secret)) == 401


def test_forms_that_are_none_are_refused(server: RunningServer, token: dict[str, str]) -> None:
    url = f"{server.url}/upload/"
    for kind, body in (
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nrubbish"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=x; filename=x\r\n\r\nMODULE",
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n" + b"v" * 99_999,
        ),
    ):
        answer = httpx.post(url, content=body, headers={**token, "content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_upload"), (kind, body[:60])
    empty = httpx.post(url, data={"a": "b"}, files={}, headers=token)
    assert empty.status_code == 400


def test_pages_and_api_are_not_shadowed(server: RunningServer) -> None:
    for path in ("/", "/pipeline", "/api/v1/me", "/docs/api"):
        assert server.get(path).status_code == 200, path
    spec = server.get("/api/v1/openapi.json").json()["paths"]
    assert "/upload/" in spec and "/api/v1/symbols/missing" in spec
    assert not list((server.data / "cache" / "uploads").iterdir())


# ---- other servers


def test_a_worker_fetches_what_it_lacks_from_another_server(
    tmp_path: Path, server: RunningServer, crash: Crash
) -> None:
    other = make_crash(tmp_path / "fresh", name="fetched", build=7)
    server.run("symbols", "upload", str(other.binary))
    settings = {"MC_CRASHES__SYMBOL_SERVERS": f"http://127.0.0.1:9/,{server.url}/symbols/"}
    with running_server(tmp_path / "second", **settings) as second:
        ids = [send_dump(second, other.dump) for _ in range(2)]
        assert [processed(second, i)["signature"] for i in ids] == ["poke_widget", "poke_widget"]
        (kept,) = (second.data / "cache" / "symbols").rglob("fetched.sym")
        assert kept.read_bytes().startswith(b"MODULE Linux")
        assert second.talk.count("symbols_fetched") == 1


def test_dump_symbols_of_the_test_support_is_what_is_stored(
    server: RunningServer, crash: Crash, tmp_path: Path
) -> None:
    dump_symbols(tmp_path, crash.binary)
    (made,) = tmp_path.rglob("*.sym")
    server.run("symbols", "upload", str(crash.binary))
    assert server.get(f"/{made.relative_to(tmp_path).as_posix()}").content == made.read_bytes()
