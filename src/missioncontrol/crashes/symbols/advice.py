"""What would mend a module whose symbols a walk did not have: pure, the same for the command line and the pages.

Whose a module is, is guessed from its name and the system: the guess chooses the advice and nothing else.
"""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from typing import Literal

import msgspec

from missioncontrol.crashes.symbols import room
from missioncontrol.crashes.symbols.store import StoredSymbols

Owner = Literal["yours", "system", "driver", "kernel"]

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
_MAC = ("mac", "ios")
_UPLOAD = "missioncontrol symbols upload"


class Lacking(msgspec.Struct, frozen=True):
    """A module whose symbols a walk did not have."""

    filename: str
    debug_id: str
    os_name: str = ""
    code_id: str = ""
    debug_file: str = ""
    """As the module names it, with or without folders; empty when nobody knows."""
    status: str = "missing"
    """`missing`, or why those that were there could not be used."""
    processed_at: datetime | None = None
    """When the walk was."""


class Mending(msgspec.Struct, frozen=True):
    """What would mend it."""

    arrived: bool
    """Symbols that can be used are there by now: the crash has to be processed again."""
    command: str
    """Empty when no command mends it."""
    hint: str


def mending(lacking: Lacking, stored: StoredSymbols | None, memory_limit_mb: int) -> Mending:
    """The advice. `stored`: the symbols of that debug id that there are now."""
    again = f"missioncontrol crash reprocess --missing {lacking.debug_id}"
    if stored is None or lacking.processed_at is None:
        return Mending(False, *_advice(lacking))
    if says := room.too_large(stored.size_bytes, memory_limit_mb, lacking.status == "too_large"):
        return Mending(False, again, f"{says} Then process those crashes again.")
    if lacking.status == "too_large":
        hint = (
            "Its symbols are here and were too large for the memory that the walker could take. They may fit by now: "
            "process those crashes again; if they do not, set memory_limit_mb below [stackwalk] higher."
        )
        return Mending(False, again, hint)
    if stored.stored_at > lacking.processed_at:
        return Mending(True, again, "Its symbols have arrived since: process those crashes again.")
    if lacking.status == "missing":
        hint = "Symbols of that build lay here already, and were not found: process those crashes again."
        return Mending(False, again, hint)
    command, hint = _advice(lacking)
    return Mending(False, command, f"{_UNUSABLE.get(lacking.status, '')} {hint}".strip())


_UNUSABLE = {
    "corrupt": "Its symbols are here and cannot be parsed: make them again.",
    "lying": "What lies here under its name is of another build, as its first line says.",
    "unreadable": "Its symbols are here, and the system does not let the walker read them.",
}


def owner_of(filename: str, os_name: str) -> Owner:
    """Whose a module seems to be."""
    system = os_name.lower()
    if system.startswith("windows"):
        stem = filename.lower().removesuffix(".dll")
        if stem in _WINDOWS or stem.startswith(("api-ms-", "ext-ms-")):
            return "system"
        return "driver" if _WINDOWS_DRIVERS.fullmatch(filename) else "yours"
    if system.startswith(_MAC):
        return "system" if _MAC_SYSTEM.fullmatch(filename) else "yours"
    if _KERNEL.fullmatch(filename):
        return "kernel"
    if _LINUX_DRIVERS.fullmatch(filename):
        return "driver"
    return "system" if _LINUX_SYSTEM.fullmatch(filename) else "yours"


def _advice(lacking: Lacking) -> tuple[str, str]:
    """Command and hint for symbols that are not here."""
    if not lacking.debug_id.strip("0"):
        return "", "It has no debug id: it was built without one, so no symbols can be matched."
    system = lacking.os_name.lower()
    match owner_of(lacking.filename, lacking.os_name):
        case "kernel":
            return "", "The kernel makes it; there are no symbols of it."
        case "driver":
            return (
                "",
                "A driver. Vendors seldom give symbols away; a server in crashes.symbol_servers may have some.",
            )
        case "yours":
            where = (
                "the PDB of that build"
                if system.startswith("windows")
                else "the unstripped file of that build"
            )
            return f"{_UPLOAD} {shlex.quote(_debug_file(lacking))}", (
                f"Upload {where}: its id must be the one shown here."
            )
        case "system":
            return _system_advice(lacking, system)


def _system_advice(lacking: Lacking, system: str) -> tuple[str, str]:
    if system.startswith("windows"):
        return f"{_UPLOAD} {shlex.quote(_debug_file(lacking))}", (
            "Part of Windows: fetch its PDB from Microsoft's symbol server (`symchk /r`), or name a server that has "
            ".sym files in crashes.symbol_servers."
        )
    if system.startswith(_MAC):
        return "", "Part of the system: name a server that has .sym files in crashes.symbol_servers."
    if re.fullmatch(r"[0-9a-f]{16,}", lacking.code_id):
        return f'{_UPLOAD} "$(debuginfod-find debuginfo {lacking.code_id})"', (
            "Part of the distribution: debuginfod-find asks the server in DEBUGINFOD_URLS; or install its package of "
            "debug symbols (-dbgsym, -debuginfo) and upload the file in /usr/lib/debug."
        )
    return (
        "",
        "Part of the distribution: install its package of debug symbols and upload the file in /usr/lib/debug.",
    )


def _debug_file(lacking: Lacking) -> str:
    """The file to upload: where debug information is kept apart from the binary, that one."""
    named = lacking.debug_file.replace("\\", "/").rsplit("/", 1)[-1]
    if named.lower().endswith(".pdb"):
        return named
    system, name = lacking.os_name.lower(), lacking.filename
    if system.startswith("windows") and "." in name:
        return f"{name.rpartition('.')[0]}.pdb"
    return f"{name}.dSYM" if system.startswith(_MAC) else name
