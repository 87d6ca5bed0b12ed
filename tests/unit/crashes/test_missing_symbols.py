"""What would mend a module without symbols: told by whose it seems to be."""

from __future__ import annotations

import pytest

from missioncontrol.crashes.symbols.missing import MissingModule, MissingRow, missing_modules

ID = "4C1D7C5F2F41492B9369D6B9A05957720"
BUILD = "5f7c1d4c412f2b499369d6b9a0595772aabbccdd"


def advice(module: str, os_name: str | None, present: tuple[str, ...] = ()) -> MissingModule:
    [found] = missing_modules([MissingRow(module, os_name, 3, 30.04, 2)], present)
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
    assert found.hint and not found.arrived
    assert (found.crashes, found.weighted_crashes, found.signatures) == (3, 30.0, 2)


def test_symbols_that_have_arrived_call_for_processing_again() -> None:
    found = advice(f"it's/None/{ID}", "Linux", (ID,))
    assert found.arrived and found.command.endswith("xargs -r missioncontrol crash reprocess")


def test_what_dumps_call_modules_harms_no_terminal_and_no_shell() -> None:
    found = advice(f"\x1b[2J$(reboot)\n/None/{ID}/$(reboot)", "Linux")
    assert "\x1b" not in found.filename and "\n" not in found.command
    assert "'?[2J$(reboot)?'" in found.command
    assert missing_modules([MissingRow("nonsense", None, 1, 1.0, 1)], ()) == []


def test_a_module_without_a_version_is_not_given_one() -> None:
    for version in ("None", "0.0.0.0"):
        assert advice(f"app/{version}/{ID}", "Linux").version == ""
    assert advice(f"app/1.0.0.0/{ID}", "Linux").version == "1.0.0.0"
