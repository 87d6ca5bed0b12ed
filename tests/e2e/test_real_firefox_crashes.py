"""Debian's firefox-esr dies by SIGSEGV: its own reporters send the crash, which arrives whole, is walked and shown."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.support.firefox import NOWHERE, Build, Firefox
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.apt

PATIENCE_S = 120.0


class Crashed(msgspec.Struct, frozen=True):
    """A server to which a Firefox has sent one crash report."""

    server: RunningServer
    build: Build
    filed: Path
    """The file in which Firefox has written down what it sent."""
    raw: dict[str, Any]
    processed: dict[str, Any]

    @property
    def crash_id(self) -> str:
        return self.filed.stem.removeprefix("bp-")


@pytest.fixture(scope="module")
def by_reporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    """Sent at once by the crash reporter, a program beside the browser."""
    folder = tmp_path_factory.mktemp("firefox")
    with running_server(folder) as server:
        firefox = Firefox(folder, server.port)
        firefox.crash(f"{server.url}/submit")
        yield crashed(server, firefox)


@pytest.fixture(scope="module")
def by_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    """Sent by the browser when it was started again, since the crash reporter had found no server."""
    folder = tmp_path_factory.mktemp("firefox")
    with running_server(folder) as server:
        firefox = Firefox(folder, server.port, crash_url=f"{server.url}/submit")
        firefox.crash(NOWHERE)
        assert len(firefox.pending_reports()) == 1
        with firefox.session() as session:
            session.send_crash_reports()
            firefox.submitted_report()
        yield crashed(server, firefox)


def crashed(server: RunningServer, firefox: Firefox) -> Crashed:
    filed = firefox.submitted_report()
    assert firefox.pending_reports() == []
    crash_id = filed.stem.removeprefix("bp-")
    server.wait_until(
        lambda: server.get("/api/ProcessedCrash/", crash_id=crash_id).status_code == 200, PATIENCE_S, 0.5
    )
    raw, processed = (
        server.get(f"/api/{kind}/", crash_id=crash_id).json() for kind in ("RawCrash", "ProcessedCrash")
    )
    return Crashed(server, firefox.build, filed, raw, processed)


@pytest.fixture(params=["by_reporter", "by_browser"])
def crash(request: pytest.FixtureRequest) -> Crashed:
    found: Crashed = request.getfixturevalue(request.param)
    return found


def test_it_files_the_crash_under_the_id_that_it_was_given(crash: Crashed) -> None:
    assert re.fullmatch(r"bp-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.txt", crash.filed.name)
    assert crash.filed.stem in crash.filed.read_text()
    assert crash.raw["uuid"] == crash.crash_id


def test_its_annotations_are_there(crash: Crashed) -> None:
    expected = {
        "ProductName": "Firefox", "Vendor": "Mozilla", "Version": crash.build.version, "BuildID": crash.build.build_id,
        "ReleaseChannel": "esr", "OS": "Linux", "HeadlessMode": "1", "useragent_locale": "en-US",
    }  # fmt: skip
    assert {name: crash.raw.get(name) for name in expected} == expected
    assert crash.raw["metadata"]["payload"] == "json"
    assert "TelemetryClientId" not in crash.raw and "TelemetryServerURL" not in crash.raw


def test_the_report_says_which_of_its_programs_sent_it(by_reporter: Crashed, by_browser: Crashed) -> None:
    assert (by_reporter.processed["submitted_from"], by_browser.processed["submitted_from"]) == (
        "Client",
        "Auto",
    )
    agents = [one.raw["metadata"]["user_agent"] for one in (by_reporter, by_browser)]
    assert agents[0].startswith("crashreporter/") and "Gecko" in agents[1]


def test_its_dump_is_walked(crash: Crashed) -> None:
    found = crash.processed
    assert (found["success"], found["reason"], found["process_type"]) == (True, "SIGSEGV", "parent")
    walked = found["json_dump"]
    assert walked["status"] == "OK" and walked["crash_info"]["type"] == "SIGSEGV"
    assert walked["thread_count"] == len(walked["threads"]) > 20
    assert all(thread["frames"] for thread in walked["threads"])
    assert "libxul.so" in {frame["module"] for frame in walked["crashing_thread"]["frames"]}
    [xul] = [module for module in walked["modules"] if module["filename"] == "libxul.so"]
    assert xul["code_id"] == build_id(Firefox.program().with_name("libxul.so"))


def build_id(library: Path) -> str:
    """The build id of an ELF file, as readelf says."""
    said = subprocess.run(["readelf", "-n", library], check=True, capture_output=True, text=True).stdout
    found = re.search(r"Build ID: (\w+)", said)
    assert found, said
    return found[1]


def test_it_has_a_signature_and_is_in_the_table_and_on_a_page(crash: Crashed) -> None:
    signature = crash.processed["signature"]
    # It was hit where it happened to be, so which frames and how many of them name it is not known beforehand.
    modules = {frame["module"] for frame in crash.processed["json_dump"]["crashing_thread"]["frames"]}
    assert any(part in modules for part in signature.split(" | ")), signature
    [row] = crash.server.sql("SELECT uuid, signature, product, version, build, release_channel FROM crashes")
    assert row == {
        "uuid": crash.crash_id, "signature": signature, "product": "Firefox", "version": f"{crash.build.version}esr",
        "build": crash.build.build_id, "release_channel": "esr",
    }  # fmt: skip
    page = httpx.get(
        f"{crash.server.url}/report/{crash.crash_id}", headers={"accept": "text/html"}, timeout=60
    )
    assert page.status_code == 200
    assert signature in page.text and crash.build.build_id in page.text


def test_nothing_that_it_sends_is_refused(crash: Crashed) -> None:
    reasons = crash.server.sql("SELECT DISTINCT reason FROM discards WHERE reason LIKE 'edge_%'")
    assert reasons == []
