"""The public command-line client of the Crash Stats API, crashstats-tools, against a running server."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from tests.support.crash_lake import CrashLake
from tests.support.crash_reports import report, send
from tests.support.crashes import make_crash
from tests.support.server import RunningServer, running_server

SCRIPTS = Path(sysconfig.get_path("scripts"))


class Crashed(NamedTuple):
    server: RunningServer
    crashes: list[str]
    dump: bytes
    token: str


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    """Three crashes of one program: two of version 1, one of version 2."""
    folder = tmp_path_factory.mktemp("tools")
    dump = make_crash(folder / "program").dump.read_bytes()
    with running_server(folder) as server:
        crashes = []
        for number, version in enumerate(("1.0", "1.0", "2.0")):
            fields = {
                "ProductName": "Notes",
                "Version": version,
                "BuildID": "20261120093000",
                "n": str(number),
            }
            crashes.append(send(server.url, report(fields, upload_file_minidump=dump)).text.strip()[-36:])
        searched = f"{server.url}/api/SuperSearch/?product=Notes&_facets_size=0"
        server.wait_until(lambda: httpx.get(searched).json()["total"] == 3)
        yield Crashed(server, crashes, dump, new_token(server, "protected", "reprocess"))


def new_token(server: RunningServer, *scopes: str) -> str:
    """A token for `read` and these scopes, made while the server runs."""
    named = [word for scope in ("read", *scopes) for word in ("--scope", scope)]
    made = server.run("token", "create", "--name", "tools", *named, "--json").stdout
    token: str = json.loads(made)["token"]
    return token


def tool(
    crashed: Crashed, name: str, *arguments: str, token: str = "", check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run one of its commands as its users do; with `check` it must end well."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MC_", "CRASHSTATS"))}
    environment = {**kept, "COLUMNS": "200", **({"CRASHSTATS_API_TOKEN": token} if token else {})}
    command = [str(SCRIPTS / name), "--host", crashed.server.url, "--no-color", *arguments]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_supersearch(crashed: Crashed) -> None:
    ids = tool(crashed, "supersearch", "--product=Notes").stdout.split()
    assert sorted(ids) == sorted(crashed.crashes)
    newest = tool(crashed, "supersearch", "--product=Notes", "--num=1").stdout.split()
    assert newest == [crashed.crashes[-1]]
    every = tool(crashed, "supersearch", "--num=all", "--signature=~crasher", "--version=1.0").stdout.split()
    assert sorted(every) == sorted(crashed.crashes[:2])
    columns = (
        "--_columns=uuid",
        "--_columns=version",
        "--_columns=build_id",
        "--_columns=url",
        "--_sort=version",
    )
    wanted = ("supersearch", "--product=Notes", *columns)
    rows = tool(crashed, *wanted, "--headers", "--format=csv", token=crashed.token).stdout
    table = list(csv.DictReader(rows.splitlines()))
    assert [row["version"] for row in table] == ["1.0", "1.0", "2.0"]
    assert {row["build_id"] for row in table} == {"20261120093000"}
    as_json = json.loads(tool(crashed, *wanted, "--format=json", token=crashed.token).stdout)
    assert len(as_json) == 3
    assert tool(crashed, "supersearch", "--product=Nothing").stdout.strip() == ""


def test_dates_as_its_own_documentation_shows_them(crashed: Crashed) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    dates = (f"--date=>={today}", "--date=<2999-01-01")
    assert len(tool(crashed, "supersearch", "--num=all", "--product=Notes", *dates).stdout.split()) == 3


def test_all_of_many_crashes_over_pages(tmp_path: Path) -> None:
    lake = CrashLake(tmp_path / "data")
    ids = lake.add(*({"signature": "A", "product": "Notes", "version": str(n)} for n in range(2_500)))
    lake.close()
    with running_server(tmp_path) as server:
        many = Crashed(server, ids, b"", "")
        found = tool(
            many, "supersearch", "--num=all", "--product=Notes", "--date=>=2026-01-01"
        ).stdout.split()
        assert sorted(found) == sorted(ids)
        some = tool(many, "supersearch", "--num=1200", "--date=>=2026-01-01", "--_sort=-date").stdout.split()
        assert len(set(some)) == 1200


def test_supersearchfacet(crashed: Crashed) -> None:
    def facets(*arguments: str) -> dict[str, list[dict[str, object]]]:
        found = tool(crashed, "supersearchfacet", "--format=json", "--product=Notes", *arguments).stdout
        decoded: dict[str, list[dict[str, object]]] = json.loads(found)
        return decoded

    assert facets("--_facets=version")["version"] == [
        {"version": "1.0", "count": 2},
        {"version": "2.0", "count": 1},
        {"version": "total", "count": 3},
    ]
    assert facets("--_facets=_cardinality.version") == {
        "cardinality_version": [{"cardinality_version": "value", "value": 2}]
    }
    nested = facets("--_aggs.product.version=_cardinality.build_id")
    assert {"product / version / cardinality_build_id": "Notes / 1.0 / value", "count": 1} in nested[
        "product / version / cardinality_build_id"
    ]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    bars = facets("--_histogram.date=version")["histogram_date"]["version"]  # type: ignore[call-overload]
    assert bars == [{"histogram_date": day, "1.0": 2, "2.0": 1, "total": 3}]
    for form in ("table", "tab", "csv", "markdown"):
        for what in ("--_facets=version", "--_aggs.product=version", "--_histogram.date=product"):
            said = tool(crashed, "supersearchfacet", f"--format={form}", "--relative-range=2w", what).stdout
            assert "Notes" in said or "1.0" in said


def test_the_query_is_answered_to_those_with_a_token(crashed: Crashed) -> None:
    said = tool(crashed, "supersearch", "--product=Notes", "--_return_query=1", token=crashed.token).stdout
    assert "FROM crashes" in said.replace("\n", " ")


def test_a_token_without_the_scopes(crashed: Crashed, tmp_path: Path) -> None:
    """A protected field is refused, files too; the rest is answered, reduced to what is public."""
    token, crash = new_token(crashed.server), crashed.crashes[0]
    said = tool(crashed, "supersearch", "--url=~x", token=token, check=False)
    assert "The field 'url' is protected" in said.stderr
    assert len(tool(crashed, "supersearch", "--product=Notes", token=token).stdout.split()) == 3
    tool(crashed, "fetch-data", "--processed", str(tmp_path), crash, token=token)
    assert "n" not in json.loads((tmp_path / "raw_crash" / f"20{crash[-6:]}" / crash).read_text())
    refused = tool(crashed, "fetch-data", "--dumps", str(tmp_path), crash, token=token, check=False)
    assert refused.returncode != 0
    assert "protected" in refused.stderr
    assert "scope `reprocess`" in tool(crashed, "reprocess", crash, token=token, check=False).stderr


def test_fetch_data(crashed: Crashed, tmp_path: Path) -> None:
    crash = crashed.crashes[0]
    tool(
        crashed,
        "fetch-data",
        "--raw",
        "--dumps",
        "--processed",
        str(tmp_path / "got"),
        crash,
        token=crashed.token,
    )
    raw = json.loads((tmp_path / "got" / "raw_crash" / f"20{crash[-6:]}" / crash).read_text())
    assert raw["ProductName"] == "Notes"
    processed = json.loads((tmp_path / "got" / "processed_crash" / crash).read_text())
    assert processed["uuid"] == crash
    assert (tmp_path / "got" / "upload_file_minidump" / crash).read_bytes() == crashed.dump
    assert json.loads((tmp_path / "got" / "dump_names" / crash).read_text()) == ["upload_file_minidump"]
    tool(crashed, "fetch-data", "--processed", str(tmp_path / "without"), crash)
    assert (tmp_path / "without" / "processed_crash" / crash).exists()


def test_reprocess(crashed: Crashed) -> None:
    server, crash = crashed.server, crashed.crashes[1]

    def revision() -> int:
        url = f"{server.url}/api/ProcessedCrash/?crash_id={crash}"
        found = httpx.get(url, headers={"Auth-Token": crashed.token}).json()
        number: int = found["processing_revision"]
        return number

    before = revision()
    said = tool(crashed, "reprocess", crash, token=crashed.token).stdout
    assert "non-200" not in said
    server.wait_until(lambda: revision() == before + 1)


def test_what_it_fetched_can_be_imported_elsewhere(crashed: Crashed, tmp_path: Path) -> None:
    folder = tmp_path / "crashdata"
    tool(crashed, "fetch-data", "--raw", "--dumps", str(folder), *crashed.crashes, token=crashed.token)
    with running_server(tmp_path) as server:
        done = json.loads(server.run("import", "crashes", "--json", str(folder)).stdout)
        assert (done["imported"], done["unreadable"]) == (3, 0)
        question = "/api/SuperSearch/?product=Notes&_columns=uuid&_columns=signature&_columns=date&_sort=uuid"
        server.wait_until(lambda: httpx.get(server.url + question).json()["total"] == 3)
        hits, fetched = (httpx.get(url + question).json()["hits"] for url in (server.url, crashed.server.url))
        assert hits == fetched
        assert {hit["uuid"] for hit in hits} == set(crashed.crashes)
        again = json.loads(server.run("import", "crashes", "--json", str(folder)).stdout)
        assert (again["imported"], again["known"]) == (0, 3)
