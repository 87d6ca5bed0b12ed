"""A program that crashes in many places, its minidumps of about 140 kB and its symbols. Measures nothing.

The dumps are real: written by crashpad_handler when one of the program's threads died in one of 24 places, each with a
signature of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from symbols import make_symbols
from workspace import BENCH, ROOT

sys.path.insert(0, str(ROOT))  # the program is that of the tests, with threads and places of its own
from tests.support.crashes import compile_program, dump_symbols, run_program

PLACES = 24
_STACK_BYTES = 1600


def make_dumps(folder: Path) -> tuple[Path, list[Path]]:
    """The program, and a dump of each place: `folder/dumps/0.dmp` and so on."""
    binary = folder / "browser"
    options = (f"-DSTACK_BYTES={_STACK_BYTES}", "-DCRASH=crash_somewhere", "-pthread")
    compile_program(binary, str(BENCH / "crash_places.c"), *options)
    dumps = folder / "dumps"
    dumps.mkdir()
    found = []
    for place in range(PLACES):
        made = run_program(binary, folder / f"crashpad-{place}", CRASH_PLACE=str(place))
        found.append(made.rename(dumps / f"{place}.dmp"))
    return binary, found


def put_symbols(binary: Path, root: Path, folder: Path, size_mb: int) -> None:
    """The symbols of the program below `root` in Breakpad's layout, as large as those of a browser."""
    (told,) = dump_symbols(folder / "real", binary)
    target = root / told["path"]
    target.parent.mkdir(parents=True)
    make_symbols(folder / "real" / told["path"], target, size_mb)
