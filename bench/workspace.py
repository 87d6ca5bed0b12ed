"""Where the benchmarks work: bench/.work with the corpus, the Spark environment and a scratch folder.

Nothing here measures anything. All that is made is made once and found again by its name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
WORK = BENCH / ".work"
SPARK_VERSION = "4.1.4"
NOW_NS = 1_763_000_000 * 10**9
SEED = 7


class BenchError(Exception):
    """Something that the benchmark needs is missing; the text says what to do."""


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything."""

    name: str
    pings: int
    rounds: int
    spark_warm_runs: int
    extraction_pings: int
    extraction_rounds: int
    posts: int
    freshness_s: int
    rate_per_s: int
    aggregate_rows: int
    aggregate_days: int
    queries: int
    stream_pings: int
    crashes: int
    reports: int
    line_s: int
    scale_rounds: int
    scale_batch: int
    """Pings of a micro-batch on Spark."""
    scale_rate_per_s: int
    triggers: dict[int, int]
    """Trigger of the stream on Spark in s -> how many seconds it is watched."""
    identities: int


FULL = Sizes(
    "full", 20_000, 3, 2, 4_000, 7, 20_000, 60, 300, 20_000_000, 30, 60, 10_000, 1_000_000, 2_000, 300,
    3, 10_000, 100, {1: 45, 5: 60, 15: 90, 60: 240}, 500_000,
)  # fmt: skip
QUICK = Sizes(
    "quick", 4_000, 2, 1, 1_500, 3, 4_000, 10, 150, 600_000, 6, 20, 2_000, 50_000, 300, 20,
    1, 500, 30, {1: 10, 5: 15}, 10_000,
)  # fmt: skip


SHORT = msgspec.structs.replace(
    FULL, name="short", posts=5_000, scale_rounds=1, scale_batch=1_000, scale_rate_per_s=30,
    triggers={5: 20, 15: 45}, identities=100_000,
)  # fmt: skip
"""Of the scaled form less, since a busy machine has no time for more."""


def sizes_from(arguments: list[str]) -> Sizes:
    """`--quick`, `--short`, or all."""
    return QUICK if "--quick" in arguments else SHORT if "--short" in arguments else FULL


def corpus(pings: int) -> Path:
    """The corpus: one file of lines as batch jobs read them, about 40 kB each; the same bytes every time."""
    from missioncontrol.simulate.corpus import make_corpus

    path = WORK / f"corpus-{pings}.ndjson"
    if not path.exists():
        WORK.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        make_corpus(partial, pings, seed=SEED, now_ns=NOW_NS)
        partial.rename(path)
    return path


def corpus_copies(pings: int, copies: int, folder: Path) -> list[Path]:
    """The corpus again and again, each time under other document ids: more pings with the same keys."""
    marker = b'"documentId":"'
    paths = []
    for copy in range(copies):
        path = folder / f"copy-{copy}.ndjson"
        with corpus(pings).open("rb") as source, path.open("wb") as target:
            for line in source:
                start = line.rindex(marker) + len(marker)
                target.write(b"%b%08x%b" % (line[:start], copy, line[start + 8 :]))
        paths.append(path)
    return paths


def by_type(source: Path, folder: Path) -> list[Path]:
    """The lines of a corpus in a file for each document type: main, then crash."""
    paths = [folder / "main.ndjson", folder / "crash.ndjson"]
    with source.open("rb") as lines, paths[0].open("wb") as main, paths[1].open("wb") as crash:
        for line in lines:
            (crash if b'"docType":"crash"' in line[-4096:] else main).write(line)
    return paths


def java() -> str:
    """The version of Java that Spark will run on. Raises `BenchError`."""
    try:
        done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise BenchError(
            "Spark needs Java 17 and there is no `java` on PATH. Install a Java runtime (Debian: "
            "openjdk-17-jre-headless), or leave the parts with Spark out: --only extraction,durable_post,..."
        ) from None
    return done.stderr.splitlines()[0].split('"')[1]


def spark_python() -> Path:
    """An interpreter with PySpark, installed at first use. Raises `BenchError`."""
    java()
    return python_with("venv", f"pyspark-{SPARK_VERSION}", f"pyspark=={SPARK_VERSION}")


def python_with(name: str, stamp: str, *wanted: str) -> Path:
    """An interpreter with packages that only the benchmark needs, installed at first use. Raises `BenchError`.

    `wanted` is as pip takes it; another `stamp` installs again.
    """
    venv = WORK / name
    python = venv / "bin" / "python"
    if not (venv / stamp).exists():
        print(f"Installing {' '.join(wanted)} for the benchmark only.", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *wanted], check=True)
        except subprocess.CalledProcessError:
            raise BenchError(f"{' '.join(wanted)} could not be installed; see the message above.") from None
        (venv / stamp).touch()
    return python


def spark(script: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run one of the Spark scripts in a process of its own; the last line that it prints is its answer."""
    python = spark_python()
    environment = {
        **{k: v for k, v in os.environ.items() if k != "SPARK_HOME"},
        "PYTHONPATH": str(BENCH),
        "PYSPARK_PYTHON": str(python),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [str(python), str(BENCH / script), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise BenchError(f"{script} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def product(data: Path, *arguments: str) -> list[str]:
    """The command line of the product."""
    return [sys.executable, "-m", "missioncontrol", "--data", str(data), *arguments]


def answer_of(command: list[str], **settings: str) -> Any:
    """Run one of our own processes; the last line that it prints is its answer, as JSON. Raises `BenchError`."""
    done = subprocess.run(command, env=environment(**settings), capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def environment(**settings: str) -> dict[str, str]:
    """The environment for our own processes: these settings and none of the caller's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
    return {**kept, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{BENCH}", **settings}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the same disk as everything else, gone afterwards."""
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=WORK))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
