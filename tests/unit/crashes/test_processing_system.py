"""Operating system and processor: from the dump, else from annotations; and their names as people call them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.crash_stacks import frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Settings, Walked, process
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SETTINGS = Settings(load_fields(), Signatures())


def run(system: dict[str, Any] | None, report: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    walked = (
        {}
        if system is None
        else {"upload_file_minidump": Walked(state(frames("a")) | {"system_info": system} | other)}
    )
    return process(report or raw(), walked, SETTINGS, processed_at=NOW).document


@pytest.mark.parametrize(
    ("os", "version", "pretty"),
    [
        ("Windows NT", "10.0.19045", "Windows 10"),
        ("Windows NT", "10.0.21996", "Windows 11"),
        ("Windows NT", "6.1.7601 Service Pack 1", "Windows 7"),
        ("Windows NT", "6.3.9600", "Windows 8.1"),
        ("Windows NT", "3.1", "Windows Unknown"),
        ("Windows NT", "", "Windows Unknown"),
        ("Mac OS X", "10.11.6 15G31", "OS X 10.11"),
        ("Mac OS X", "10.15.7", "macOS 10.15"),
        ("Mac OS X", "14.2.1 23C71", "macOS 14"),
        ("Mac OS X", "", "macOS Unknown"),
        ("Linux", "6.1.0", "Linux"),
        ("Android", "13", "Android 13"),
        ("Plan 9", "4", "Plan 9 4"),
    ],
)
def test_names_of_systems(os: str, version: str, pretty: str) -> None:
    assert run({"os": os, "os_ver": version})["os_pretty_version"] == pretty


def test_a_linux_is_called_by_its_distribution() -> None:
    document = run({"os": "Linux"}, lsb_release={"description": "Otter Linux 12"})
    assert document["os_pretty_version"] == "Otter Linux 12"


def test_a_linux_with_annotations_of_android_is_android() -> None:
    document = run(
        {"os": "Linux", "os_ver": "5.10"}, raw(Android_Version="33 (REL)", Android_CPU_ABI="arm64-v8a")
    )
    assert (document["os_name"], document["os_version"]) == ("Android", "33")
    assert document["cpu_arch"] == "arm64" and document["os_pretty_version"] == "Android 33"


@pytest.mark.parametrize(
    ("platform", "name"),
    [("win32", "Windows NT"), ("darwin", "Mac OS X"), ("linux", "Linux"), ("beos", None)],
)
def test_without_a_dump_annotations_tell_the_system(platform: str, name: str | None) -> None:
    assert run(None, raw(platform=platform)).get("os_name") == name


def test_the_processor_is_the_dumps() -> None:
    document = run({"cpu_arch": "arm64", "cpu_count": 4, "cpu_info": None, "cpu_microcode_version": "0x1"})
    assert (document["cpu_arch"], document["cpu_count"], document["cpu_microcode_version"]) == (
        "arm64",
        4,
        "0x1",
    )
    assert "cpu_info" not in document


def test_a_linux_whose_dump_does_not_say_is_called_as_the_client_calls_it() -> None:
    report = raw(**{"lsb-release": "Otter Linux 12"})
    assert run({"os": "Linux"}, report)["os_pretty_version"] == "Otter Linux 12"
    assert run({"os": "Windows NT", "os_ver": "6.1"}, report)["os_pretty_version"] == "Windows 7"
