"""Fuzzes the walker through its door: `python tests/fuzz/fuzz_walker.py [--seconds 30] [--seed N] [--keep DIR]`.

Dumps of real crashes, and small ones made by hand, are damaged where minidumps are sensitive (counts, places, sizes) and
walked by a real process with real, sometimes damaged, symbols. Each walk must end with a state or with a name, within
its time; what kills the process is kept and fails the run. At the end a whole dump must still be walked right.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.crashes import dump_symbols, make_crash
from tests.support.minidumps import header_only, many_threads

from missioncontrol.crashes.stackwalk import Stackwalker, Walk

FATAL = ("Killed", "BadAnswer")
"""Ends that no dump may have; `Timeout`, `MemoryLimit` and `Panic` are bad, but named and survived."""
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
Mutation = Callable[[random.Random, bytearray], None]


def flip(chance: random.Random, data: bytearray) -> None:
    """Change single bits."""
    for _ in range(chance.randint(1, 30)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def number(chance: random.Random, data: bytearray) -> None:
    """Put numbers at the edge of what fits where a number may be."""
    for _ in range(chance.randint(1, 8) if len(data) >= 4 else 0):
        at = chance.randrange(max(1, len(data) - 8)) & ~3
        if chance.random() < 0.5:
            struct.pack_into("<I", data, min(at, len(data) - 4), chance.choice(NUMBERS))
        elif len(data) >= 8:
            struct.pack_into(
                "<Q",
                data,
                min(at, len(data) - 8),
                chance.choice(NUMBERS) << chance.choice((0, 16, 32)) & (1 << 64) - 1,
            )


def directory(chance: random.Random, data: bytearray) -> None:
    """Damage the list of streams: types, sizes, places, or how many there are."""
    if len(data) < 32:
        return
    count, at = struct.unpack_from("<II", data, 8)
    if chance.random() < 0.2 or not 0 < count < 1000:
        struct.pack_into(
            "<I", data, 8, chance.choice((0, count + 1 & 0xFFFFFFFF, count * 1000 & 0xFFFFFFFF, 0xFFFFFFFF))
        )
        return
    place = at + 12 * chance.randrange(count) + 4 * chance.randrange(3)
    if place + 4 <= len(data):
        value = chance.choice(
            (*NUMBERS, len(data), len(data) - 1, struct.unpack_from("<I", data, place)[0] + 1 & 0xFFFFFFFF)
        )
        struct.pack_into("<I", data, place, value)


def cut(chance: random.Random, data: bytearray) -> None:
    """Leave the end away."""
    del data[chance.randrange(1, len(data) + 1) :]


def splice(chance: random.Random, data: bytearray) -> None:
    """Copy a piece over another place."""
    size = chance.randint(1, max(1, min(4096, len(data) // 2)))
    source, target = (chance.randrange(max(1, len(data) - size)) for _ in range(2))
    data[target : target + size] = data[source : source + size]


def damage_text(chance: random.Random, text: bytes) -> bytes:
    """Symbols with damaged, missing and repeated lines."""
    lines = text.split(b"\n")
    for _ in range(chance.randint(1, 10)):
        at = chance.randrange(1, max(2, len(lines)))
        kind = chance.randrange(4)
        if kind == 0:
            del lines[at : at + 1]
        elif kind == 1:
            lines.insert(at, chance.choice(lines))
        elif at < len(lines) and lines[at]:
            line = bytearray(lines[at])
            line[chance.randrange(len(line))] = chance.choice(b"0f \xff-:.")
            lines[at] = bytes(line)
        else:
            lines.insert(
                at, b"STACK CFI INIT 0 ffffffffffffffff .cfa: $rsp 8 + .ra: .cfa ^ $rip: .cfa $rip + ^ ^"
            )
    return b"\n".join(lines)


MUTATIONS: Sequence[Mutation] = (flip, number, directory, directory, cut, splice)


class Run:
    """One run over damaged copies of the seeds."""

    def __init__(self, folder: Path, chance: random.Random, keep: Path) -> None:
        self._chance, self._keep = chance, keep
        crash = make_crash(folder / "crash")
        self._symbols = folder / "symbols"
        dump_symbols(self._symbols, crash.binary)
        (self._sym,) = self._symbols.rglob("*.sym")
        self._whole_symbols = self._sym.read_bytes()
        self._whole = crash.dump
        self._functions = crash.functions
        self._seeds = [crash.dump.read_bytes()] * 4 + [
            many_threads(3, 20),
            many_threads(200, 50),
            header_only(),
        ]
        self._file = folder / "damaged.dmp"
        self.ends: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.findings: list[Path] = []

    def go(self, seconds: float) -> None:
        """Walk damaged dumps for so long, then a whole one."""
        ends = time.monotonic() + seconds
        with Stackwalker(
            symbols=[self._symbols], timeout_s=15, memory_limit_mb=768, cache_mb=64, missing_ttl_s=0
        ) as walker:
            while time.monotonic() < ends:
                if self._chance.random() < 0.05:
                    self._sym.write_bytes(self._damaged_symbols())
                self._one(walker)
            self._sym.write_bytes(self._whole_symbols)
            walker.forget_missing()
            walk = walker.walk(self._whole)
        assert walk.state is not None, walk
        found = [f["function"] for f in walk.state["crashing_thread"]["frames"]]
        assert tuple(found[: len(self._functions)]) == self._functions, found

    def _damaged_symbols(self) -> bytes:
        whole = self._chance.random() < 0.3
        return self._whole_symbols if whole else damage_text(self._chance, self._whole_symbols)

    def _one(self, walker: Stackwalker) -> None:
        data = bytearray(self._chance.choice(self._seeds))
        for _ in range(self._chance.randint(1, 4)):
            if data:
                self._chance.choice(MUTATIONS)(self._chance, data)
        self._file.write_bytes(data)
        began = time.monotonic()
        walk = walker.walk(self._file)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.ends[walk.error or "walked"] += 1
        assert (walk.state is None) == bool(walk.error), walk
        if walk.error in FATAL or walk.error == "Panic":
            self._found(walk, bytes(data))

    def _found(self, walk: Walk, data: bytes) -> None:
        self._keep.mkdir(parents=True, exist_ok=True)
        file = self._keep / f"{walk.error.lower()}-{self.ends[walk.error]}.dmp"
        file.write_bytes(data)
        file.with_suffix(".sym").write_bytes(self._sym.read_bytes())
        print(f"{walk.error}: {walk.detail[:300]} ({file})", file=sys.stderr)
        if walk.error in FATAL:
            self.findings.append(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=Path, default=Path(".build/fuzz"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), random.Random(options.seed), options.keep)
        run.go(options.seconds)
    ends = ", ".join(f"{name} {count:,}" for name, count in run.ends.most_common())
    print(f"seed {options.seed}: {sum(run.ends.values()):,} dumps, slowest {run.slowest_s:.1f} s: {ends}")
    if run.findings:
        sys.exit(1)


if __name__ == "__main__":
    main()
