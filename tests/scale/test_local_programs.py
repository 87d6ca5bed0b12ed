"""What a machine lacks for `make scale-up` is told in one message that says what to install."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from deploy.local import fetch
from deploy.local.fetch import SetupError


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has no program but those in this folder, and got nothing yet."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(fetch, "CACHE", tmp_path / "cache")
    return programs


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_no_java_and_an_old_java(bare: Path) -> None:
    with pytest.raises(SetupError, match=r"no `java` on PATH.*apt-get install openjdk-17"):
        fetch.java()
    program(bare, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    with pytest.raises(SetupError, match=r"need Java 17.*11\.0\.2"):
        fetch.java()
    program(bare, "java", """echo 'openjdk version "21.0.1" 2023-10-17' >&2""")
    assert fetch.java() == str(bare / "java")


def test_no_maven(bare: Path) -> None:
    with pytest.raises(SetupError, match=r"no `mvn` on PATH.*apt-get install maven"):
        fetch.kafka_jars()


def test_what_a_client_says_is_told_and_half_a_download_is_not_kept(bare: Path) -> None:
    program(bare, "mvn", """echo '[INFO] Scanning'; echo '[ERROR] no such artifact'; exit 1""")
    for _ in range(2):
        with pytest.raises(SetupError, match=r"failed:\n\[ERROR\] no such artifact"):
            fetch.spark_jars()
    program(
        bare,
        "mvn",
        """for a in "$@"; do case $a in -DoutputDirectory=*) : > "${a#*=}/some.jar";; esac; done""",
    )
    [jar] = fetch.spark_jars()
    (bare / "mvn").unlink()
    assert jar.exists() and fetch.spark_jars() == [jar]


def test_of_trino_the_server_its_client_and_one_plugin_are_kept(bare: Path, tmp_path: Path) -> None:
    version = fetch.VERSIONS["trino"]
    name = f"trino-server-{version}"
    with tarfile.open(tmp_path / "packed", "w:gz") as packed:
        for path in ("lib/server.jar", "plugin/delta-lake/delta.jar", "plugin/other/other.jar"):
            packed.add(__file__, f"{name}/{path}")
        # As in the archive: what two plugins have stands there once.
        shared = tarfile.TarInfo(f"{name}/plugin/delta-lake/shared.jar")
        shared.type, shared.linkname = tarfile.LNKTYPE, f"{name}/plugin/other/other.jar"
        packed.addfile(shared)
    program(
        bare,
        "mvn",
        f"""for a in "$@"; do case $a in -DoutputDirectory=*) /bin/cp {tmp_path}/packed "${{a#*=}}/{name}.tar.gz";; esac; done""",
    )
    folder = fetch.trino_folder()
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.jar")}
    assert found == {"lib/server.jar", "plugin/delta-lake/delta.jar", "plugin/delta-lake/shared.jar"}
    assert (folder / "plugin/delta-lake/shared.jar").read_bytes() == Path(__file__).read_bytes()
    assert not list(folder.parent.glob("*.tar.gz"))
