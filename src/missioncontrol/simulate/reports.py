"""Crash reports of a fleet: for many of its main crashes the annotations and the minidump that a client would send.

They are written as a collector stores them, with crash ids and days of when they came, for `import crashes`. Machines
that are not x86-64, and some of the others, send none. A release with a regression crashes in a place of its own, as
much as it crashes more than it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from missioncontrol.blobs.crash_keys import MINIDUMP
from missioncontrol.clock import utc
from missioncontrol.simulate.crash_program import REGRESSION, STACKS, Module, modules, symbols
from missioncontrol.simulate.fleet import Fleet, MainCrash
from missioncontrol.simulate.minidump import minidump
from missioncontrol.simulate.stamps import uuid

SENT_SHARE = 0.8
_X86_64 = "x86-64"
_BITS = 1 << 20


class Report(NamedTuple):
    """A report as a client would send it."""

    crash_id: str
    raw: dict[str, Any]
    """Annotations, and when it came."""
    dump: bytes


def reports(fleet: Fleet, crashes: Iterable[MainCrash], sent: float = SENT_SHARE) -> Iterator[Report]:
    """The reports of those crashes that are reported, of x86-64 machines this share.

    The same crash always gives the same report.
    """
    for crash in crashes:
        if crash.platform.architecture == _X86_64 and _chance(crash, 0) < sent:
            yield _report(fleet, crash)


def write_reports(folder: Path, made: Iterable[Report]) -> int:
    """Write reports below a folder; returns how many."""
    count = 0
    for report in made:
        day = f"20{report.crash_id[-6:]}"
        for part, content in (("raw_crash", msgspec.json.encode(report.raw)), (MINIDUMP, report.dump)):
            file = folder / part / day / report.crash_id
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        count += 1
    return count


def all_symbols(fleet: Fleet, channels: Iterable[str]) -> Iterator[tuple[Module, bytes]]:
    """The symbols of every build of these channels for every system: the library, and its symbols as text."""
    wanted = set(channels)
    for release in fleet.releases:
        if release.channel in wanted:
            for os_name in ("Windows_NT", "Darwin", "Linux"):
                yield modules(release.build_id, os_name)[0], symbols(release.build_id, os_name)


def _report(fleet: Fleet, crash: MainCrash) -> Report:
    release, os_name = crash.release, crash.platform.os_name
    received = utc(crash.received_ns)
    crash_id = f"{uuid(crash.id_high, crash.id_low)[:29]}0{received:%y%m%d}"
    raw = {
        "uuid": crash_id,
        "submitted_timestamp": received.isoformat(),
        "ProductName": release.application,
        "Vendor": "Example",
        "Version": release.version,
        "BuildID": release.build_id,
        "ReleaseChannel": release.channel,
        "CrashTime": str(crash.crash_s),
        "StartupTime": str(crash.start_s),
        "UptimeTS": f"{crash.crash_s - crash.start_s}.0",
        "StartupCrash": str(crash.startup),
        "useragent_locale": "en-US",
        "TotalPhysicalMemory": "17044660224",
        "AvailablePhysicalMemory": str((crash.noise >> 24) % 9_000_000_000),
    }
    bad_address = 0x10 if crash.noise % 3 else 0xE5E5E5E5E5E5E5E5
    dump = minidump(release.build_id, os_name, _functions(fleet, crash), bad_address, crash.crash_s)
    return Report(crash_id, raw, dump)


def _functions(fleet: Fleet, crash: MainCrash) -> tuple[str, ...]:
    regression = fleet.truth.regression
    if (
        regression is not None
        and crash.release == fleet.truth.worse
        and regression.os_name in ("", crash.platform.os_name)
        and _chance(crash, 20) < 1 - 1 / regression.factor
    ):
        return REGRESSION.functions
    left = _chance(crash, 40)
    for stack in STACKS:
        left -= stack.share
        if left < 0:
            return stack.functions
    return STACKS[-1].functions


def _chance(crash: MainCrash, shift: int) -> float:
    """From 0 to 1, by other bits of the crash's id for each `shift`."""
    return (crash.id_low >> shift) % _BITS / _BITS
