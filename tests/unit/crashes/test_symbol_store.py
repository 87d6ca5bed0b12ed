"""What is handed in as symbols: taken, known already, replaced, or refused by name; and what walkers learn of it."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.crashes import Crash, dump_symbols, make_crash

from missioncontrol.blobs.local import LocalBlobs
from missioncontrol.crashes.stackwalk import Stackwalker, find_program
from missioncontrol.crashes.symbols.archive import Bounds
from missioncontrol.crashes.symbols.folders import SymbolFolders
from missioncontrol.crashes.symbols.intake import Intake, files_below
from missioncontrol.crashes.symbols.names import name_of_path, symbol_name
from missioncontrol.crashes.symbols.store import Received, SymbolStore
from missioncontrol.crashes.symbols.watch import SymbolWatch
from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database
from missioncontrol.state.symbol_changes import SymbolChanges

ID = "4C1D7C5F2F41492B9369D6B9A0595772" + "0"
SYM = f"MODULE Linux x86_64 {ID} app\nFUNC 10 20 0 main\n10 20 7 0\nSTACK CFI 10 .cfa: $rsp 8 +\n".encode()
PUBLICS = f"MODULE Linux x86_64 {ID} app\nPUBLIC 10 0 main\n".encode()


@pytest.fixture
def changes(state_url: str) -> SymbolChanges:
    return SymbolChanges(Database(state_url))


@pytest.fixture
def store(tmp_path: Path, changes: SymbolChanges) -> SymbolStore:
    return SymbolStore(LocalBlobs(tmp_path / "blobs"), changes, 1 << 20, lambda: datetime.now(UTC))


@pytest.fixture
def intake(store: SymbolStore) -> Intake:
    return Intake(store, find_program)


def add(store: SymbolStore, content: bytes) -> Received:
    return store.add(io.BytesIO(content), "app.sym")


def zipped(files: dict[str, bytes]) -> io.BytesIO:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    target.seek(0)
    return target


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


# ---- names


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../app", "a/b", "a\\b", "a\0b", "a\nb", "x" * 201, "\udcff"], ids=repr
)
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        symbol_name(name, ID)
    assert refused.value.code == "symbols_bad_name"


@pytest.mark.parametrize("debug_id", ["", "0" * 33, ID[:-1], ID + "123456789", "G" * 33, "../" + ID])
def test_a_debug_id_that_is_none_is_refused(debug_id: str) -> None:
    with pytest.raises(BadRequest) as refused:
        symbol_name("app", debug_id)
    assert refused.value.code == "symbols_bad_id"


def test_symbols_lie_where_walkers_look() -> None:
    assert symbol_name("xul.pdb", ID.lower()).path == f"xul.pdb/{ID}/xul.sym"
    assert symbol_name("libxul.so", ID).path == f"libxul.so/{ID}/libxul.so.sym"
    assert symbol_name("XUL.PDB", ID[:-1] + "A").path == f"XUL.PDB/{ID[:-1]}a/XUL.sym"
    assert name_of_path(f"some/where/xul.pdb/{ID}/xul.sym") == symbol_name("xul.pdb", ID)
    assert name_of_path(f"xul.pdb/{ID}/other.sym") is None


# ---- single files


def test_new_then_already_there_then_replaced(store: SymbolStore, changes: SymbolChanges) -> None:
    first = add(store, SYM)
    assert (first.outcome, first.debug_file, first.debug_id) == ("new", "app", ID)
    assert (first.has, first.size_bytes) == (("symbols", "unwind", "lines"), len(SYM))
    assert add(store, SYM).outcome == "already_there"
    assert add(store, SYM.replace(b"main", b"other")).outcome == "replaced"
    assert store.path(symbol_name("app", ID)).read_bytes() == SYM.replace(b"main", b"other")
    assert changes.since(0).symbols == (("app", ID),)
    [listed] = store.list()
    assert (listed.debug_file, listed.debug_id, listed.size_bytes) == ("app", ID, len(SYM) + 1)


def test_symbols_that_hold_less_do_not_replace_those_that_hold_more(store: SymbolStore) -> None:
    add(store, SYM)
    kept = add(store, PUBLICS)
    assert kept.outcome == "already_there" and "holds more" in kept.message
    assert store.path(symbol_name("app", ID)).read_bytes() == SYM


def test_functions_without_names_are_no_symbols(store: SymbolStore) -> None:
    """As they are made of a PE file without its PDB."""
    nameless = f"MODULE windows x86_64 {ID} app.pdb\nFUNC 1000 11 0 <unknown in app.exe>\n".encode()
    nameless += b"PUBLIC m 1040 0 <unknown in app.pdb>\n"
    assert add(store, nameless).has == ()
    assert add(store, nameless + b"FUNC m 1020 2a 0 main\n").has == ("symbols",)
    assert add(store, nameless + b"STACK CFI INIT 1000 11 .cfa: $rsp 8 +\n").has == ("unwind",)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "symbols_not_symbols"),
        (b"<html>", "symbols_not_symbols"),
        (SYM[:10], "symbols_cut"),
        (SYM[:-5], "symbols_cut"),
        (SYM + b"\0\n", "symbols_corrupt"),
        (SYM + b"<html>\n", "symbols_corrupt"),
        (SYM + b"FILE " + b"x" * 1_100_000 + b"\n", "symbols_too_large"),
        (SYM.replace(b" app", b" ../app"), "symbols_bad_name"),
        (SYM.replace(ID.encode(), b"0" * 33), "symbols_bad_id"),
        (b"MODULE Linux x86_64\n", "symbols_not_symbols"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_leaves_nothing(
    store: SymbolStore, tmp_path: Path, content: bytes, code: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        add(store, content)
    assert refused.value.code == code
    assert files(tmp_path / "blobs") == []


def test_a_file_that_lies_about_its_id_is_refused(store: SymbolStore) -> None:
    with pytest.raises(BadRequest) as refused:
        store.add(io.BytesIO(SYM), "app.sym", symbol_name("app", "1" + ID[1:]))
    assert refused.value.code == "symbols_lying"


def test_a_damaged_file_in_the_store_is_replaced_by_whatever_is_whole(store: SymbolStore) -> None:
    add(store, SYM)
    store.path(symbol_name("app", ID)).write_bytes(SYM[:40])
    assert add(store, PUBLICS).outcome == "replaced"


def test_what_is_removed_is_gone_and_cannot_be_removed_twice(store: SymbolStore) -> None:
    add(store, SYM)
    store.remove(symbol_name("app", ID))
    with pytest.raises(NotFound):
        store.remove(symbol_name("app", ID))
    assert list(store.list()) == []


# ---- zips


def test_a_zip_is_taken_file_by_file(intake: Intake, store: SymbolStore) -> None:
    content = {
        f"breakpad_symbols/app/{ID}/app.sym": SYM,
        f"lib/1{ID[1:]}/lib.sym": SYM,
        "LICENSE": b"text",
        "bin/app": b"\x7fELF",
        "cut.sym": SYM[:-3],
        f"zipped/{ID}/zipped.sym.gz": gzip.compress(SYM.replace(b" app", b" zipped")),
    }
    results = list(intake.take_upload(zipped(content), "symbols.zip"))
    told = {r.file.removeprefix("symbols.zip:").split("/")[-1]: (r.outcome, r.reason) for r in results}
    assert told == {
        "app.sym": ("new", ""),
        "lib.sym": ("refused", "symbols_lying"),
        "LICENSE": ("ignored", "no_symbols"),
        "app": ("ignored", "binary"),
        "cut.sym": ("refused", "symbols_cut"),
        "zipped.sym.gz": ("new", ""),
    }
    assert {s.debug_file for s in store.list()} == {"app", "zipped"}


@pytest.mark.parametrize("name", ["../x.sym", "/etc/x.sym", "a/../../x.sym", "..\\x.sym", "C:/x.sym"])
def test_a_zip_with_names_that_lead_out_of_it_writes_nothing_there(
    intake: Intake, tmp_path: Path, name: str
) -> None:
    [result] = intake.take_upload(zipped({name: SYM}), "symbols.zip")
    assert (result.outcome, result.reason) == ("refused", "zip_bad_path")
    assert files(tmp_path / "blobs") == []


def test_a_zip_bomb_stops_at_its_bound(store: SymbolStore, tmp_path: Path) -> None:
    intake = Intake(store, None, Bounds(inflated_bytes=2 << 20))
    bomb = SYM + b"INFO " + b"x" * 900_000 + b"\n"
    results = list(
        intake.take_upload(zipped({f"{n}.sym": bomb + b"INFO %d\n" % n for n in range(5)}), "bomb.zip")
    )
    assert [r.outcome for r in results[:2]] == ["new", "replaced"]
    assert {r.reason for r in results[2:]} == {"zip_too_large"}
    many = zipped({f"{n}": b"" for n in range(50)})
    [refused] = Intake(store, None, Bounds(entries=49)).take_upload(many, "many.zip")
    assert refused.reason == "zip_too_large"


def test_zips_that_are_damaged_anywhere_end_with_a_name(intake: Intake) -> None:
    whole = zipped({f"app/{ID}/app.sym": SYM * 1 + b"INFO x\n" * 500, "other": b"x" * 500}).getvalue()
    for at in range(4, len(whole), 7):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            for result in intake.take_upload(io.BytesIO(damaged), "x.zip"):
                assert result.outcome in ("new", "replaced", "already_there", "ignored") or result.reason
    lying = bytearray(whole)
    end = lying.rfind(b"PK\5\6")
    struct.pack_into("<HHI", lying, end + 8, 0xFFFF, 0xFFFF, 0xFFFFFFFF)
    [refused] = intake.take_upload(io.BytesIO(bytes(lying)), "x.zip")
    assert refused.reason == "zip_invalid"


# ---- binaries and folders


def test_a_folder_is_taken_with_the_binaries_in_it(
    intake: Intake, store: SymbolStore, crash: Crash, tmp_path: Path
) -> None:
    folder = tmp_path / "build"
    (folder / "deep" / "er").mkdir(parents=True)
    shutil.copy(crash.binary, folder / "deep" / "crasher")
    (folder / "deep" / "er" / "app.sym").write_bytes(SYM)
    (folder / "README").write_text("no symbols")
    (folder / "broken").write_bytes(b"\x7fELF" + b"\xff" * 100)
    results = [r for f in files_below(folder) for r in intake.take_file(f, named=False)]
    told = {Path(r.file).name: (r.outcome, r.reason) for r in results}
    assert told == {
        "crasher": ("new", ""),
        "app.sym": ("new", ""),
        "README": ("ignored", "no_symbols"),
        "broken": ("refused", "symbols_not_dumped"),
    }
    (binary,) = (r for r in results if r.debug_file == "crasher")
    assert binary.has == ("symbols", "unwind", "lines")
    [named] = intake.take_file(folder / "README", named=True)
    assert (named.outcome, named.reason) == ("refused", "symbols_not_symbols")


def test_what_the_linker_did_not_make_is_no_symbols(
    intake: Intake, store: SymbolStore, tmp_path: Path
) -> None:
    (tmp_path / "a.c").write_text("int answer(void) { return 42; }")
    subprocess.run(["cc", "-g", "-c", "-o", tmp_path / "a.o", tmp_path / "a.c"], check=True)
    [met] = intake.take_file(tmp_path / "a.o", named=False)
    assert (met.outcome, met.reason) == ("ignored", "symbols_object")
    [named] = intake.take_file(tmp_path / "a.o", named=True)
    assert (named.outcome, named.reason) == ("refused", "symbols_object")
    assert "what the linker made" in named.message and list(store.list()) == []


def test_of_a_stripped_binary_it_is_said_that_it_has_no_lines(
    intake: Intake, crash: Crash, tmp_path: Path
) -> None:
    subprocess.run(["strip", "--strip-debug", "-o", tmp_path / "crasher", crash.binary], check=True)
    [result] = intake.take_file(tmp_path / "crasher", named=True)
    assert (result.outcome, result.has) == ("new", ("symbols", "unwind"))
    assert "no debug information" in result.message and "-g" in result.message
    [whole] = intake.take_file(crash.binary, named=True)
    assert (whole.outcome, whole.message) == ("replaced", "")


def test_of_a_file_that_the_walker_cannot_read_it_is_said_at_once(
    changes: SymbolChanges, tmp_path: Path
) -> None:
    store = SymbolStore(LocalBlobs(tmp_path / "b"), changes, 1 << 30, lambda: datetime.now(UTC), 100)
    large = SYM + b"INFO x\n" * (2 << 20)
    assert "memory_limit_mb = 162 " in add(store, large).message
    assert add(store, SYM).message == ""


# ---- folders that walkers read


def test_symbols_are_found_by_the_debug_id_whatever_they_are_called(
    store: SymbolStore, tmp_path: Path
) -> None:
    folders = SymbolFolders([tmp_path / "none", tmp_path / "blobs" / "symbols"], 0)
    before = datetime.now(UTC)
    add(store, SYM)
    found = folders.find([ID, "1" + ID[1:], "", "../x", "\0" * 33])
    assert {i: (s.debug_file, s.size_bytes) for i, s in found.items()} == {ID: ("app", len(SYM))}
    assert found[ID].stored_at >= before - timedelta(seconds=1)
    add(store, PUBLICS.replace(b" app", b" other.pdb"))
    assert folders.find([ID])[ID].debug_file in ("app", "other.pdb")
    store.remove(symbol_name("app", ID))
    assert folders.find([ID])[ID].size_bytes == len(PUBLICS) + 6


# ---- walkers


def functions(walker: Stackwalker, crash: Crash) -> list[str | None]:
    state = walker.walk(crash.dump).state
    assert state is not None
    return [f["function"] for f in state["crashing_thread"]["frames"]]


def test_a_walker_sees_what_arrives_is_replaced_and_is_removed_at_its_next_walk(
    store: SymbolStore, changes: SymbolChanges, crash: Crash, tmp_path: Path
) -> None:
    root = tmp_path / "blobs" / "symbols"
    with Stackwalker(symbols=[root], missing_ttl_s=3600) as walker:
        watch = SymbolWatch(changes, [walker])
        assert not watch.look()
        assert "poke_widget" not in functions(walker, crash)
        dump_symbols(tmp_path / "made", crash.binary)
        (sym,) = (tmp_path / "made").rglob("*.sym")
        result = add(store, sym.read_bytes())
        assert "poke_widget" not in functions(walker, crash)  # it does not look by itself
        assert watch.look() and not watch.look()
        assert functions(walker, crash)[0] == "poke_widget"
        add(store, sym.read_bytes().replace(b"poke_widget", b"poke_gadget"))
        watch.look()
        assert functions(walker, crash)[0] == "poke_gadget"
        store.remove(symbol_name(result.debug_file, result.debug_id))
        watch.look()
        assert "poke_gadget" not in functions(walker, crash)


def test_a_walker_that_was_away_for_long_forgets_everything(
    store: SymbolStore, changes: SymbolChanges, crash: Crash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.state.symbol_changes.KEPT", 2)
    with Stackwalker(symbols=[tmp_path / "blobs" / "symbols"], missing_ttl_s=3600) as walker:
        changes.add([("first", ID)], datetime.now(UTC))
        watch = SymbolWatch(changes, [walker])
        functions(walker, crash)
        before = walker.pid
        changes.add([(f"n{n}", ID) for n in range(10)], datetime.now(UTC))
        assert watch.look()
        functions(walker, crash)
        assert walker.pid != before


def test_two_builds_of_one_binary_lie_side_by_side(
    intake: Intake, store: SymbolStore, tmp_path: Path
) -> None:
    for build in (1, 2):
        binary = make_crash(tmp_path / str(build), build=build).binary
        [result] = intake.take_file(binary, named=True)
        assert result.outcome == "new"
    assert len({s.debug_id for s in store.list()}) == 2
