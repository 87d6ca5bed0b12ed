"""Symbol files as large as those of a browser: our own text around the symbols of a real program. Measures nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

SEED = 7
_FIRST_ADDRESS = 0x1000000
_WORDS = (
    *("Window", "Layout", "Frame", "Buffer", "Channel", "Media", "Script", "Table", "Style", "Node", "Cache"),
    *(
        "Thread",
        "Pool",
        "Queue",
        "Task",
        "Event",
        "Handler",
        "Proxy",
        "Storage",
        "Worker",
        "Canvas",
        "Shader",
    ),
    *("Texture", "Widget", "Stream", "Parser", "Token", "Value", "Object", "Context", "Session", "Request"),
)


def make_symbols(real: Path, target: Path, size_mb: int) -> None:
    """The records of `real`, then functions of a program that is not there until `size_mb` are full.

    Each function has about ten lines, some inlined calls and its unwind rules, as in dump_syms' files of C++.
    """
    chance = random.Random(SEED)
    left = size_mb * 1024 * 1024
    files = 8000
    with target.open("w", encoding="ascii") as out:
        text = real.read_text()
        head, _, rest = text.partition("FUNC ")
        left -= out.write(head)
        for number in range(files):
            left -= out.write(f"FILE {1000 + number} /build/source/{_name(chance)}/{_name(chance)}.cpp\n")
            left -= out.write(f"INLINE_ORIGIN {1000 + number} {_function(chance)}\n")
        left -= out.write("FUNC " + rest)
        for record in _functions(chance, files):
            left -= out.write(record)
            if left <= 0:
                return


def _functions(chance: random.Random, files: int) -> Iterator[str]:
    address = _FIRST_ADDRESS
    while True:
        lines = chance.randint(2, 18)
        size = lines * 12
        file = 1000 + chance.randrange(files)
        record = [f"FUNC {address:x} {size:x} 0 {_function(chance)}\n"]
        if chance.random() < 0.3:
            call = f"{chance.randint(1, 4000)} {file} {1000 + chance.randrange(files)}"
            record.append(f"INLINE 0 {call} {address:x} 18\n")
        for at in range(lines):
            record.append(f"{address + 12 * at:x} c {chance.randint(1, 4000)} {file}\n")
        record.append(f"STACK CFI INIT {address:x} {size:x} .cfa: $rsp 8 + .ra: .cfa -8 + ^\n")
        record.append(f"STACK CFI {address + 1:x} .cfa: $rsp 16 + $rbp: .cfa -16 + ^\n")
        record.append(f"STACK CFI {address + 4:x} .cfa: $rbp 16 +\n")
        yield "".join(record)
        address += size + 4


def _name(chance: random.Random) -> str:
    return "".join(chance.choices(_WORDS, k=2))


def _function(chance: random.Random) -> str:
    return f"{_name(chance)}::{_name(chance)}<{_name(chance)}>::{_name(chance)}({_name(chance)} const&, unsigned int)"
