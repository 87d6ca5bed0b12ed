"""Part 10: stackwalks with symbols kept in memory. `python bench/stackwalk.py [--quick]`.

The peer, rust-minidump's command line, is built once into bench/.work (some minutes).
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from figures import Part, figure, publish, ratio
from missioncontrol.crashes.stackwalk import Stackwalker, Walk, find_program
from processes import highest_mb
from symbols import make_symbols
from workspace import ROOT, WORK, BenchError, Sizes, scratch, sizes_from

sys.path.insert(0, str(ROOT))  # the crash that the tests make is the one that is measured
from tests.support.crashes import dump_symbols, make_crash

PEER_VERSION = "0.27.0"
BUILDS = 4
CACHE_MB, MEMORY_LIMIT_MB = 600, 1024


class Build(NamedTuple):
    dump: Path
    symbols: Path
    """Its file."""


def measure(sizes: Sizes) -> Part:
    quick = sizes.name == "quick"
    size_mb, warm_runs, cold_runs = (20, 50, 2) if quick else (130, 300, 5)
    peer = minidump_stackwalk()
    with scratch() as folder:
        builds = [make_build(folder, number, size_mb) for number in range(BUILDS)]
        root = folder / "symbols"
        first, warm, kept = walk_warm(builds[0], root, warm_runs)
        cold_runs_s = [walk_cold(builds[0], root) for _ in range(cold_runs)]
        peer_runs = [walk_peer(peer, builds[0], root) for _ in range(cold_runs)]
        for name, state in (("a new process", cold_runs_s[0][1]), ("rust-minidump", peer_runs[0][1])):
            check(name, first, state)
        shares, peaks = walk_builds(builds, root, 3 if quick else 6)
    cold, peer_s = [s for s, _ in cold_runs_s], [s for s, _ in peer_runs]
    file_bytes = size_mb * 2**20
    return Part(
        "stackwalk",
        "Stackwalks with symbols kept in memory",
        f"A real crash with a symbol file of {size_mb} MB. Warm: `Stackwalker.walk()` on the process that has walked a "
        f"dump before. Peers: the same program started for each dump; rust-minidump's `minidump-stackwalk` "
        f"{PEER_VERSION}, started for each dump. Memory: {BUILDS} builds of {size_mb} MB in turns, cache of "
        f"{CACHE_MB} MB, limit of {MEMORY_LIMIT_MB} MB.",
        [
            ratio("minidump-stackwalk for each dump / warm", peer_s, warm, at_least=100),
            ratio("a new process for each dump / warm", cold, warm, at_least=100),
            figure("peak memory / limit as set", [max(peaks) / MEMORY_LIMIT_MB], "x", at_most=1),
            figure("cached bytes / bound as set", [max(shares)], "x", at_most=1),
        ],
        [
            figure("warm", [s * 1000 for s in warm], "ms"),
            figure("a new process", [s * 1000 for s in cold], "ms"),
            figure("minidump-stackwalk", [s * 1000 for s in peer_s], "ms"),
            figure("heap / size of the symbol file", [kept / file_bytes]),
            figure("peak resident memory", [max(peaks)], "MB"),
        ],
        "The functions, files and lines of the crashing thread are the same in all three.",
    )


def make_build(folder: Path, number: int, size_mb: int) -> Build:
    crash = make_crash(folder / f"build-{number}", build=number)
    (told,) = dump_symbols(folder / "real", crash.binary)
    target: Path = folder / "symbols" / told["path"]
    target.parent.mkdir(parents=True)
    make_symbols(folder / "real" / told["path"], target, size_mb)
    return Build(crash.dump, target)


def walk_warm(build: Build, root: Path, runs: int) -> tuple[dict[str, Any], list[float], int]:
    """The first state, seconds of each walk after it, bytes of the cache."""
    seconds = []
    with Stackwalker(symbols=[root], cache_mb=CACHE_MB, memory_limit_mb=MEMORY_LIMIT_MB) as walker:
        first = fine(walker.walk(build.dump))
        for _ in range(runs):
            started = time.perf_counter()
            last = fine(walker.walk(build.dump))
            seconds.append(time.perf_counter() - started)
    assert first.state is not None
    return first.state, seconds, last.cache.bytes


def walk_cold(build: Build, root: Path) -> tuple[float, dict[str, Any]]:
    job = json.dumps({"id": 1, "dump": str(build.dump), "symbols": [str(root)]}) + "\n"
    started = time.perf_counter()
    done = subprocess.run([find_program()], input=job.encode(), capture_output=True, check=True)
    state: dict[str, Any] = json.loads(done.stdout)["state"]
    return time.perf_counter() - started, state


def walk_peer(program: Path, build: Build, root: Path) -> tuple[float, dict[str, Any]]:
    command: list[str | Path] = [program, "--json", "--symbols-path", root, build.dump]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True)
    state: dict[str, Any] = json.loads(done.stdout)
    return time.perf_counter() - started, state


def walk_builds(builds: list[Build], root: Path, rounds: int) -> tuple[list[float], list[float]]:
    """More builds than the cache holds: share of the bound in use, and the process's peak, after each dump."""
    shares, peaks = [], []
    with Stackwalker(symbols=[root], cache_mb=CACHE_MB, memory_limit_mb=MEMORY_LIMIT_MB) as walker:
        for build in itertools.chain(*[builds] * rounds):
            walk = fine(walker.walk(build.dump))
            shares.append(walk.cache.bytes / (CACHE_MB * 2**20))
            if walker.pid is None:
                raise BenchError("The process was ended for its memory")
            peaks.append(highest_mb(walker.pid))
    return shares, peaks


def fine(walk: Walk) -> Walk:
    if walk.error or walk.symbols.corrupt or not walk.symbols.loaded:
        raise BenchError(f"A walk went wrong: {walk.error} {walk.detail} {walk.symbols}")
    return walk


def check(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    if named(ours) != named(theirs):
        raise BenchError(f"The warm walk and {name} differ:\n{named(ours)}\n{named(theirs)}")


def named(state: dict[str, Any]) -> list[tuple[Any, ...]]:
    frames = state["crashing_thread"]["frames"]
    return [(f["module"], f["function"], f["file"], f["line"], f["trust"]) for f in frames]


def minidump_stackwalk() -> Path:
    """rust-minidump's command line, built at first use. Raises `BenchError`."""
    root = WORK / f"minidump-stackwalk-{PEER_VERSION}"
    program = root / "bin" / "minidump-stackwalk"
    if not program.exists():
        print(f"Building minidump-stackwalk {PEER_VERSION} for the benchmark only.", file=sys.stderr)
        command = [
            "cargo",
            "install",
            "-q",
            "--root",
            str(root),
            "--version",
            PEER_VERSION,
            "minidump-stackwalk",
        ]
        if subprocess.run(command).returncode:
            raise BenchError("minidump-stackwalk could not be built; see the message above.")
    return program


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
