"""What would mend a module without symbols: told by whose it seems to be, and by what there is of it by now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from missioncontrol.crashes.symbols.missing import MissingModule, MissingRow, crashes_query, missing_modules
from missioncontrol.crashes.symbols.store import StoredSymbols
from missioncontrol.errors import BadRequest

ID = "4C1D7C5F2F41492B9369D6B9A05957720"
BUILD = "5f7c1d4c412f2b499369d6b9a0595772aabbccdd"
PROCESSED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LATER, EARLIER = PROCESSED + timedelta(seconds=1), PROCESSED - timedelta(seconds=1)
LIMIT_MB = 200


def advice(module: str, os_name: str | None, stored: tuple[datetime, int] | None = None) -> MissingModule:
    """The advice for one row; `stored`: since when symbols of that id are there, and their bytes."""
    row = MissingRow(module, os_name, 3, 30.04, 2, first_processed=PROCESSED.isoformat(sep=" ")[:19])
    there = {ID: StoredSymbols("app", ID, stored[1], stored[0])} if stored else {}
    [found] = missing_modules([row], there, LIMIT_MB)
    return found


@pytest.mark.parametrize(
    ("module", "os_name", "owner", "command"),
    [
        (f"app.exe/1.2/{ID}", "Windows NT", "yours", "missioncontrol symbols upload app.pdb"),
        (f"ntdll.dll/10.0/{ID}", "Windows NT", "system", "missioncontrol symbols upload ntdll.pdb"),
        (f"nvwgf2umx.dll/31.0/{ID}", "Windows", "driver", ""),
        (f"app/None/{ID}", "Mac OS X", "yours", "missioncontrol symbols upload app.dSYM"),
        (f"libsystem_kernel.dylib/1/{ID}", "macOS", "system", ""),
        (f"libffmpeg.so/None/{ID}/{BUILD}", "Linux", "yours", "missioncontrol symbols upload libffmpeg.so"),
        (
            f"libc.so.6/None/{ID}/{BUILD}",
            "Linux",
            "system",
            f'missioncontrol symbols upload "$(debuginfod-find debuginfo {BUILD})"',
        ),
        (f"libc.so.6/None/{ID}", "Linux", "system", ""),
        (f"linux-gate.so/None/{ID}", "Linux", "kernel", ""),
        (f"my app/None/{ID}", None, "yours", "missioncontrol symbols upload 'my app'"),
    ],
)
def test_each_kind_of_module_has_its_advice(
    module: str, os_name: str | None, owner: str, command: str
) -> None:
    found = advice(module, os_name)
    assert (found.owner, found.command) == (owner, command)
    assert found.hint and not found.arrived and found.status == "missing"
    assert (found.crashes, found.weighted_crashes, found.signatures) == (3, 30.0, 2)


def test_symbols_that_have_arrived_call_for_processing_again() -> None:
    found = advice(f"it's/None/{ID}", "Linux", (LATER, 1000))
    assert found.arrived and found.command == f"missioncontrol crash reprocess --missing {ID}"


def test_symbols_that_were_there_before_have_not_arrived_since() -> None:
    assert not advice(f"app/None/{ID}", "Linux", (EARLIER, 1000)).arrived
    corrupt = advice(f"corrupt:app/None/{ID}", "Linux", (EARLIER, 1000))
    assert not corrupt.arrived and "cannot be parsed" in corrupt.hint
    assert (corrupt.status, corrupt.filename, corrupt.command) == (
        "corrupt", "app", "missioncontrol symbols upload app",
    )  # fmt: skip
    assert advice(f"corrupt:app/None/{ID}", "Linux", (LATER, 1000)).arrived


@pytest.mark.parametrize("module", [f"app/None/{ID}", f"too_large:app/None/{ID}"])
@pytest.mark.parametrize("stored_at", [EARLIER, LATER])
def test_symbols_that_are_too_large_name_the_setting_that_mends_it(module: str, stored_at: datetime) -> None:
    found = advice(module, "Linux", (stored_at, 100 << 20))
    assert not found.arrived
    assert "memory_limit_mb = 764 " in found.hint and "(200 MB)" in found.hint


def test_symbols_that_did_not_fit_and_should_by_now_are_never_said_to_have_arrived() -> None:
    found = advice(f"too_large:app/None/{ID}", "Linux", (LATER, 1000))
    assert not found.arrived and "may fit by now" in found.hint and "--missing" in found.command


def test_a_version_of_zeros_is_none() -> None:
    assert advice(f"app/0.0.0.0/{ID}", "Linux").version == ""
    assert advice(f"app/1.0.0.0/{ID}", "Linux").version == "1.0.0.0"


def test_what_dumps_call_modules_harms_no_terminal_and_no_shell() -> None:
    found = advice(f"\x1b[2J$(reboot)\n/None/{ID}/$(reboot)", "Linux")
    assert "\x1b" not in found.filename and "\n" not in found.command
    assert "'?[2J$(reboot)?'" in found.command
    assert missing_modules([MissingRow("nonsense", None, 1, 1.0, 1)], {}, 0) == []


@pytest.mark.parametrize("debug_id", ["", "x' OR 1=1 --", ID[:-1], ID + "\n"])
def test_only_debug_ids_come_into_a_query(debug_id: str) -> None:
    assert f"'/{ID}'" in crashes_query(ID.lower())
    with pytest.raises(BadRequest):
        crashes_query(debug_id)
