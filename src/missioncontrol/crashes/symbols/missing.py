"""Modules that were met on stacks without symbols, and what would mend each: pure functions of rows.

Knows a module by its file name, version and ids, as processed crashes list it. Whose a module is, is guessed from its
name and the system: the guess chooses the advice and nothing else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

Owner = Literal["yours", "system", "driver", "kernel"]

QUERY = """
SELECT module, any_value(os_name) AS os_name, count(*) AS crashes, sum(weight) AS weighted_crashes,
       count(DISTINCT signature) AS signatures, max(date) AS last_seen
FROM (SELECT unnest(string_split(missing_symbols, ';')) AS module, os_name, signature, date,
             1 / coalesce(nullif(throttle_rate, 0), 1) AS weight
      FROM crashes WHERE date >= TIMESTAMP '{since}' AND missing_symbols IS NOT NULL)
GROUP BY module ORDER BY weighted_crashes DESC, module LIMIT {limit}
"""
"""SQL over the lake; `since` is a time as text, UTC."""

_WINDOWS_NAMES = """
advapi32 bcrypt bcryptprimitives clbcatq cfgmgr32 combase comctl32 coremessaging coreuicomponents crypt32 d2d1 d3d11
d3d12 d3d9 dbghelp dcomp dnsapi dwmapi dwrite dxgi gdi32 gdi32full iertutil imm32 kernel32 kernelbase mf mfplat
mmdevapi msctf msvcrt msvcp140 msvcp_win mswsock ncrypt ntdll ole32 oleaut32 oleacc opengl32 powrprof propsys rpcrt4
sechost setupapi shcore shell32 shlwapi ucrtbase urlmon user32 uxtheme vcruntime140 vcruntime140_1 version win32u
windowscodecs wininet winmm winnsi wintypes wow64 wow64cpu wow64win ws2_32
"""
_WINDOWS = frozenset(_WINDOWS_NAMES.split())
_WINDOWS_DRIVERS = re.compile(r"(nv|ati|amd|ig[a-z0-9]*(icd|umd|d3d|dxva)|intel).*\.(dll|sys)", re.I)
_LINUX_SYSTEM = re.compile(
    r"(lib[^/]+\.so\.[0-9.]+|ld-[^/]*\.so.*|libc-[0-9.]+\.so|libpthread-[0-9.]+\.so|libart\.so|libc\.so)"
)
_LINUX_DRIVERS = re.compile(r"(libnvidia|.*_dri\.so|libGLX_nvidia|libgallium).*")
_KERNEL = re.compile(r"(linux-gate\.so|linux-vdso\.so.*|\[?vdso\]?)")
_MAC_SYSTEM = re.compile(
    r"(libsystem_.*|libobjc.*|libdispatch.*|libc\+\+.*|libxpc.*|dyld.*|lib[A-Za-z]+\.[A-Z]?\.?dylib|"
    r"AppKit|CoreFoundation|Foundation|HIToolbox|CoreGraphics|QuartzCore|Metal|SkyLight|CoreText|Security|"
    r"IOKit|CoreServices|CoreAudio|CFNetwork|UIKitCore|GraphicsServices|JavaScriptCore|WebCore)"
)


class MissingRow(msgspec.Struct, frozen=True):
    """A row of `QUERY`."""

    module: str
    os_name: str | None
    crashes: int
    weighted_crashes: float
    signatures: int
    last_seen: str | None = None


_NO_VERSIONS = ("None", "0.0.0.0")
"""What dumps say of modules that have none."""


class MissingModule(msgspec.Struct, frozen=True):
    """A module without symbols."""

    filename: str
    version: str
    debug_id: str
    code_id: str
    os_name: str
    crashes: int
    """Processed crashes whose stacks met it without symbols."""
    weighted_crashes: float
    """The same, where sampled reports count for those that were left out."""
    signatures: int
    last_seen: str
    owner: Owner
    """Whose it seems to be."""
    arrived: bool
    """Its symbols are there by now: those crashes have to be processed again."""
    command: str
    """The command that mends it; empty when there is none."""
    hint: str


def missing_modules(rows: Iterable[MissingRow], present: Collection[str]) -> list[MissingModule]:
    """The modules, in the order of the rows. `present`: debug ids of symbols that there are."""
    return [_module(row, present) for row in rows if row.module.count("/") >= 2]


def _module(row: MissingRow, present: Collection[str]) -> MissingModule:
    # The text came out of somebody's dump, and goes to terminals and into commands.
    module = "".join(c if c.isprintable() else "?" for c in row.module)
    parts = module.split("/")
    filename, version, debug_id = parts[0], parts[1], parts[2]
    code_id = parts[3] if len(parts) > 3 else ""
    os_name = row.os_name or ""
    owner = _owner(filename, os_name)
    arrived = debug_id in present
    command, hint = _reprocess(module) if arrived else _advice(owner, filename, os_name, code_id)
    return MissingModule(
        filename, "" if version in _NO_VERSIONS else version, debug_id, code_id, os_name, row.crashes,
        round(row.weighted_crashes, 1), row.signatures, row.last_seen or "", owner, arrived, command, hint,
    )  # fmt: skip


def _owner(filename: str, os_name: str) -> Owner:
    system = os_name.lower()
    if system.startswith("windows"):
        stem = filename.lower().removesuffix(".dll")
        if stem in _WINDOWS or stem.startswith(("api-ms-", "ext-ms-")):
            return "system"
        return "driver" if _WINDOWS_DRIVERS.fullmatch(filename) else "yours"
    if system.startswith(("mac", "ios")):
        return "system" if _MAC_SYSTEM.fullmatch(filename) else "yours"
    if _KERNEL.fullmatch(filename):
        return "kernel"
    if _LINUX_DRIVERS.fullmatch(filename):
        return "driver"
    return "system" if _LINUX_SYSTEM.fullmatch(filename) else "yours"


def _advice(owner: Owner, filename: str, os_name: str, code_id: str) -> tuple[str, str]:
    system = os_name.lower()
    upload = "missioncontrol symbols upload"
    if owner == "kernel":
        return "", "The kernel makes it; there are no symbols of it."
    if owner == "driver":
        return (
            "",
            "A driver. Vendors seldom give symbols away; a server in crashes.symbol_servers may have some.",
        )
    if owner == "yours":
        what = (
            f"{filename.rpartition('.')[0]}.pdb"
            if system.startswith("windows") and "." in filename
            else filename
        )
        where = (
            "the PDB of that build" if system.startswith("windows") else "the unstripped file of that build"
        )
        bundle = ".dSYM" if system.startswith(("mac", "ios")) else ""
        return f"{upload} {shlex.quote(what + bundle)}", f"Upload {where}: its id must be the one shown here."
    if system.startswith("windows"):
        pdb = shlex.quote(f"{filename.rpartition('.')[0]}.pdb")
        return f"{upload} {pdb}", (
            "Part of Windows: fetch its PDB from Microsoft's symbol server (`symchk /r`), or name a server that has "
            ".sym files in crashes.symbol_servers."
        )
    if system.startswith(("mac", "ios")):
        return "", "Part of the system: name a server that has .sym files in crashes.symbol_servers."
    if re.fullmatch(r"[0-9a-f]{16,}", code_id):
        return f'{upload} "$(debuginfod-find debuginfo {code_id})"', (
            "Part of the distribution: debuginfod-find asks the server in DEBUGINFOD_URLS; or install its package of "
            "debug symbols (-dbgsym, -debuginfo) and upload the file in /usr/lib/debug."
        )
    return (
        "",
        "Part of the distribution: install its package of debug symbols and upload the file in /usr/lib/debug.",
    )


def _reprocess(module: str) -> tuple[str, str]:
    text = module.replace("'", "''")
    query = f"SELECT uuid FROM crashes WHERE contains(missing_symbols, '{text}')"
    command = (
        f"missioncontrol sql --format csv {shlex.quote(query)} | tail -n +2 | "
        "xargs -r missioncontrol crash reprocess"
    )
    return command, "Its symbols have arrived since: process those crashes again."
