"""Binaries into symbols: ELF, PE, PDB and Mach-O files and dSYM bundles, by `missioncontrol-stackwalk symbols`.

A process of its own reads each: binaries of others may hang or crash whoever reads them. Never stores anything.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

import msgspec

from missioncontrol.errors import BadRequest

_MAGICS = (
    b"\x7fELF", b"MZ", b"Microsoft C/C++ MSF 7.00", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf",
)  # fmt: skip
_ET_REL, _MH_OBJECT = 1, 1
_MACH_ORDERS: dict[bytes, Literal["big", "little"]] = {
    b"\xfe\xed\xfa\xce": "big", b"\xfe\xed\xfa\xcf": "big", b"\xce\xfa\xed\xfe": "little",
    b"\xcf\xfa\xed\xfe": "little",
}  # fmt: skip
TIMEOUT_S = 600.0


class _Told(msgspec.Struct):
    """A line of the program."""

    file: str = ""
    path: str = ""
    error: str = ""
    detail: str = ""


def is_binary(first: bytes) -> bool:
    """Whether a file that begins so is one that symbols can be made of."""
    return first.startswith(_MAGICS)


def is_object(first: bytes) -> bool:
    """Whether a file with these first 32 bytes is one that the compiler made and the linker did not: `.o`, `.ko`."""
    if first.startswith(b"\x7fELF") and len(first) >= 18:
        return int.from_bytes(first[16:18], "big" if first[5] == 2 else "little") == _ET_REL
    order = _MACH_ORDERS.get(first[:4])
    return order is not None and int.from_bytes(first[12:16], order) == _MH_OBJECT


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a dSYM bundle."""
    return (folder / "Contents" / "Resources" / "DWARF").is_dir()


def dump_symbols(program: Path, binary: Path, folder: Path, timeout_s: float = TIMEOUT_S) -> list[Path]:
    """Make the symbols of a binary below `folder`; a .sym file for each architecture.

    Raises `BadRequest` (`symbols_not_dumped`) with what the program says.
    """
    command = [str(program), "symbols", "--output", str(folder), str(binary)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise _not_dumped(f"it took longer than {timeout_s:.0f} s") from None
    told = [_decoded(line) for line in done.stdout.splitlines() if line.strip()]
    made = [folder / one.path for one in told if one.path and not one.error]
    if made:
        return made
    said = next((one.detail or one.error for one in told if one.error), "")
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise _not_dumped(said or (last[-1][:300] if last else f"the program ended with code {done.returncode}"))


def _decoded(line: bytes) -> _Told:
    try:
        return msgspec.json.decode(line, type=_Told)
    except msgspec.MsgspecError:
        return _Told(error="BadAnswer")


def _not_dumped(why: str) -> BadRequest:
    return BadRequest(
        "symbols_not_dumped", f"No symbols can be made of it: {why}.", "Does it carry debug information?"
    )
