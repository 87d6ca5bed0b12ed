"""Modules of a crash: which have symbols, why the others have none, and the command that mends it.

Pure. Nothing of the stackwalker's JSON is taken for granted.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from missioncontrol.crashes.processing.reading import at, objects_at, text_at

ModuleState = Literal["missing", "corrupt", "loaded", "not asked"]


class ModuleLine(msgspec.Struct, frozen=True):
    """A module and the state of its symbols."""

    name: str
    version: str
    debug_file: str
    debug_id: str
    address: str
    state: ModuleState
    says: str
    on_stack: bool
    """Whether the crashing thread passes through it."""
    command: str
    """What would mend it; empty when nothing has to."""


def modules_of(document: Mapping[str, Any]) -> list[ModuleLine]:
    """All modules of the main dump, in its order."""
    frames = objects_at(document, "json_dump", "crashing_thread", "frames")
    on_stack = {text_at(frame, "module") for frame in frames} - {""}
    system = text_at(document, "json_dump", "system_info", "os")
    return [_module(m, on_stack, system) for m in objects_at(document, "json_dump", "modules")]


def _module(module: Mapping[str, Any], on_stack: set[str], system: str) -> ModuleLine:
    name, version = text_at(module, "filename"), text_at(module, "version")
    debug_file, debug_id = text_at(module, "debug_file"), text_at(module, "debug_id")
    state, says = _symbols(module)
    command = (
        f"missioncontrol symbols upload {shlex.quote(_wanted(name, debug_file, system))}" if says else ""
    )
    return ModuleLine(
        name, "" if version.strip("0.") == "" else version, debug_file, debug_id, text_at(module, "base_addr"),
        state, says or _FINE[state], name in on_stack, command,
    )  # fmt: skip


_FINE = {"loaded": "Symbols were found.", "not asked": "No frame is in it, so no symbols were looked for."}


def worst_first(module: ModuleLine) -> tuple[int, str]:
    """Order by what is to be mended first, then by name."""
    return ("corrupt", "missing", "loaded", "not asked").index(module.state), module.name.lower()


def _symbols(module: Mapping[str, Any]) -> tuple[ModuleState, str]:
    """The state of its symbols, and what is wrong if something is."""
    file, debug_id = text_at(module, "debug_file") or text_at(module, "filename"), text_at(module, "debug_id")
    if at(module, "corrupt_symbols") is True:
        return (
            "corrupt",
            f"The symbol file of {file} with debug id {debug_id} cannot be read: upload it again.",
        )
    if at(module, "missing_symbols") is True:
        if not debug_id.strip("0"):
            return (
                "missing",
                f"{file} has no debug id: it was built without one, so no symbols can be matched.",
            )
        return "missing", f"No symbols of {file} with debug id {debug_id} have been uploaded."
    return ("loaded", "") if at(module, "loaded_symbols") is True else ("not asked", "")


def _wanted(name: str, debug_file: str, system: str) -> str:
    """The file to upload: where debug information is kept apart from the binary, that one."""
    if system == "Windows" or debug_file.lower().endswith(".pdb"):
        return debug_file.replace("\\", "/").rsplit("/", 1)[-1] or name
    return f"{name}.dSYM" if system in ("Mac OS X", "iOS") else name
