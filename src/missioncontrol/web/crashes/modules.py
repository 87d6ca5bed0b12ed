"""Modules of a crash: which have symbols, why the others have none, and the command that mends it.

Nothing of the stackwalker's JSON is taken for granted. What has arrived since the crash was processed is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from missioncontrol.crashes.processing.model import SYMBOL_STATUS
from missioncontrol.crashes.processing.reading import at, objects_at, text_at
from missioncontrol.crashes.symbols.advice import Lacking, Mending, mending, owner_of
from missioncontrol.crashes.symbols.folders import SymbolFolders

ModuleState = Literal["missing", "unusable", "arrived", "loaded", "names only", "not asked"]
_MOST_LOOKED_UP = 200
_NAMES_ONLY = (
    "It has no debug information: names come from the symbol table and may be wrong. Build with debug information (-g; "
    "/Zi and /DEBUG for MSVC), and upload the file before it is stripped."
)
_WORDS = {
    "too_large": "Too large", "corrupt": "Unreadable", "lying": "Of another build", "unreadable": "Unreadable",
    "missing": "Missing", "unidentified": "Missing", "loaded": "Found", "names_only": "Found, names only",
}  # fmt: skip


class ModuleLine(msgspec.Struct, frozen=True):
    """A module and the state of its symbols."""

    name: str
    version: str
    debug_file: str
    debug_id: str
    address: str
    state: ModuleState
    word: str
    """The state in a word or two."""
    says: str
    """What is wrong and what mends it; empty when nothing is."""
    first_frame: int | None
    """The first frame of the crashing thread that is in it; None: the thread does not pass through it."""
    own: bool
    """Whether it seems to be the application's."""
    command: str
    """What would mend it; empty when nothing has to, or no command does."""

    @property
    def on_stack(self) -> bool:
        """Whether the crashing thread passes through it."""
        return self.first_frame is not None

    @property
    def lacks(self) -> bool:
        """Whether the walk did without its symbols."""
        return self.state in ("missing", "unusable", "arrived")


def modules_of(document: Mapping[str, Any], folders: SymbolFolders | None = None) -> list[ModuleLine]:
    """All modules of the main dump, in its order. `folders`: where symbols are by now."""
    frames = objects_at(document, "json_dump", "crashing_thread", "frames")
    first: dict[str, int] = {}
    for number, frame in enumerate(frames):
        first.setdefault(text_at(frame, "module"), number)
    system = text_at(document, "json_dump", "system_info", "os")
    processed_at = _moment(text_at(document, "completed_datetime"))
    modules = objects_at(document, "json_dump", "modules")
    lacking = [_lacking(module, system, processed_at) for module in modules]
    ids = sorted({one.debug_id for one in lacking if one is not None})[:_MOST_LOOKED_UP]
    stored = folders.find(ids) if folders is not None else {}
    limit_mb = folders.memory_limit_mb if folders is not None else 0
    mends = [mending(one, stored.get(one.debug_id), limit_mb) if one else None for one in lacking]
    return [_module(m, mend, first, system) for m, mend in zip(modules, mends, strict=True)]


def stack_order(module: ModuleLine) -> tuple[bool, int, str]:
    """Order of the modules of the crashing stack: the application's own first, then as the stack meets them."""
    return not module.own, module.first_frame or 0, module.name.lower()


def worst_first(module: ModuleLine) -> tuple[int, str]:
    """Order by what is to be mended first, then by name."""
    states = ("unusable", "arrived", "missing", "names only", "loaded", "not asked")
    return states.index(module.state), module.name.lower()


def _lacking(module: Mapping[str, Any], system: str, processed_at: datetime | None) -> Lacking | None:
    """The module as one whose symbols the walk did not have; None when it had them, or did not ask."""
    status = _status(module)
    if status in ("", "loaded", "names_only"):
        return None
    texts = {name: text_at(module, name) for name in ("filename", "debug_id", "code_id", "debug_file")}
    return Lacking(os_name=system, status=_MISSING.get(status, status), processed_at=processed_at, **texts)


_MISSING = {"unidentified": "missing"}


def _module(
    module: Mapping[str, Any], mends: Mending | None, first: Mapping[str, int], system: str
) -> ModuleLine:
    name, version, status = text_at(module, "filename"), text_at(module, "version"), _status(module)
    own = owner_of(name, system) == "yours"
    state, word = _state(status, mends)
    return ModuleLine(
        name=name,
        version="" if version.strip("0.") == "" else version,
        debug_file=text_at(module, "debug_file"),
        debug_id=text_at(module, "debug_id"),
        address=text_at(module, "base_addr"),
        state=state,
        word=word,
        says=_NAMES_ONLY if own and state == "names only" else _says(module, status, mends),
        first_frame=first.get(name) if name else None,
        own=own,
        command=mends.command if mends else "",
    )


def _state(status: str, mends: Mending | None) -> tuple[ModuleState, str]:
    if mends is not None and mends.arrived:
        return "arrived", "Arrived since"
    word = _WORDS.get(status, "Not needed")
    if mends is not None:
        return ("missing" if word == "Missing" else "unusable"), word
    states: dict[str, ModuleState] = {"loaded": "loaded", "names_only": "names only"}
    return states.get(status, "not asked"), word


def _says(module: Mapping[str, Any], status: str, mends: Mending | None) -> str:
    if mends is None:
        return ""
    if mends.arrived:
        return "Its symbols can be used by now: press Process again. For all crashes that lacked them:"
    file, debug_id = text_at(module, "debug_file") or text_at(module, "filename"), text_at(module, "debug_id")
    if status == "missing" and debug_id.strip("0"):
        return f"There were no symbols of {file} with debug id {debug_id}. {mends.hint}"
    return mends.hint


def _status(module: Mapping[str, Any]) -> str:
    """The walker's word; of crashes that were processed before it was kept, what the marks tell."""
    if (status := text_at(module, SYMBOL_STATUS)) in _WORDS:
        return status
    marks = (("corrupt_symbols", "corrupt"), ("missing_symbols", "missing"), ("loaded_symbols", "loaded"))
    return next((word for mark, word in marks if at(module, mark) is True), "")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
