"""Rules on operating system and processor: from the dump, else from annotations."""

from __future__ import annotations

import re

from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.processing.reading import integer_at, object_at, text_at

WINDOWS = "Windows NT"
_WINDOWS_NAMES = {
    (5, 1): "Windows XP",
    (5, 2): "Windows Server 2003",
    (6, 0): "Windows Vista",
    (6, 1): "Windows 7",
    (6, 2): "Windows 8",
    (6, 3): "Windows 8.1",
    (10, 0): "Windows 10",
}
_WINDOWS_11_BUILD = 21996
_LONGEST_NAME = 100
_PLATFORMS = {"win32": WINDOWS, "windows": WINDOWS, "darwin": "Mac OS X", "macos": "Mac OS X", "mac": "Mac OS X",
              "linux": "Linux", "android": "Android"}  # fmt: skip
_ABIS = {"arm64-v8a": "arm64", "armeabi-v7a": "arm", "armeabi": "arm", "x86_64": "amd64", "x86": "x86"}


def find_cpu(crash: Crash) -> None:
    """`cpu_arch`, `cpu_info`, `cpu_count`, `cpu_microcode_version`."""
    system = object_at(crash.dump, "system_info")
    abi = crash.text("android_cpu_abi")
    found = {
        "cpu_arch": text_at(system, "cpu_arch") or _ABIS.get(abi, abi),
        "cpu_info": text_at(system, "cpu_info"),
        "cpu_count": integer_at(system, "cpu_count"),
        "cpu_microcode_version": text_at(system, "cpu_microcode_version"),
    }
    crash.document.update({key: value for key, value in found.items() if value})


def find_os(crash: Crash) -> None:
    """`os_name` and `os_version`. A Linux with annotations of Android is Android."""
    system = object_at(crash.dump, "system_info")
    name, version = text_at(system, "os"), text_at(system, "os_ver")
    if not name:
        platform = (crash.annotation("platform") or crash.annotation("plat")).lower()
        name = _PLATFORMS.get(platform, "")
    if name in ("", "Linux", "Android") and crash.text("android_version"):
        name, version = "Android", crash.text("android_version").split(" ")[0]
    crash.document.update({k: v for k, v in (("os_name", name), ("os_version", version)) if v})


def name_os(crash: Crash) -> None:
    """`os_pretty_version`: as people call it."""
    name, version = crash.text("os_name"), crash.text("os_version")
    if name == WINDOWS:
        pretty = _windows(version)
    elif name == "Mac OS X":
        pretty = _macos(version)
    elif name == "Linux":
        sent = crash.annotation("lsb-release")
        pretty = text_at(crash.dump, "lsb_release", "description") or sent[:_LONGEST_NAME] or "Linux"
    else:
        pretty = f"{name} {version.split('.')[0]}".strip()
    if pretty:
        crash.document["os_pretty_version"] = pretty


def _windows(version: str) -> str:
    major, minor, build = _numbers(version, 3)
    if (major, minor) == (10, 0) and build >= _WINDOWS_11_BUILD:
        return "Windows 11"
    return _WINDOWS_NAMES.get((major, minor), "Windows Unknown")


def _macos(version: str) -> str:
    major, minor, _ = _numbers(version, 3)
    if major >= 11:
        return f"macOS {major}"
    if major == 10:
        return f"{'macOS' if minor >= 12 else 'OS X'} 10.{minor}"
    return "macOS Unknown"


def _numbers(version: str, count: int) -> list[int]:
    found = [int(number) for number in re.findall(r"[0-9]{1,9}", version)[:count]]
    return found + [0] * (count - len(found))
