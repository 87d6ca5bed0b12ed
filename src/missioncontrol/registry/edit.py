"""Changing the user's own registry file: validated as a whole first, written atomically, comments kept.

Who changes it holds the lock beside it, so that a page and a command never lose each other's blocks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit

from missioncontrol.errors import BadRequest
from missioncontrol.file_lock import try_lock
from missioncontrol.registry.load import SourceFile, parse_registry, shipped_files, user_files
from missioncontrol.registry.model import Registry

_EDITABLE = ("measure", "dimension", "document", "application")
_LOCK_WAIT_S = 10.0


def add_blocks(paths: Sequence[Path], file: Path) -> list[str]:
    """Add or replace the blocks of `file` in the last of `paths`; returns their names as `measure.x`.

    Raises `ConfigError` and writes nothing when the result would not be valid.
    """
    [given] = user_files([file])
    return add_text(paths, given)


def add_text(paths: Sequence[Path], given: SourceFile, is_new: bool = False) -> list[str]:
    """The same for blocks that are in no file; `given.name` names them in refusals.

    `is_new`: a block that the file has already is refused (`BadRequest`, `registry_declared`) rather than replaced.
    """
    with _alone(paths[-1]):
        check_text(paths, given)
        added: dict[str, Any] = tomlkit.parse(given.text)
        own = _read(paths[-1])
        names = []
        for section in added:
            for name, block in added[section].items():
                if is_new and name in own.get(section, {}):
                    raise declared(name)
                own.setdefault(section, tomlkit.table(is_super_table=True))[name] = block
                names.append(f"{section}.{name}")
        _write(paths, own)
    return names


def declared(name: str) -> BadRequest:
    """The refusal of a second block of that name."""
    hint = "Give it another name, or take the other one out first."
    return BadRequest("registry_declared", f"`{name}` is declared already.", hint)


def check_text(paths: Sequence[Path], given: SourceFile) -> Registry:
    """The registry as it would be with these blocks. Raises `ConfigError`; writes nothing."""
    return parse_registry([*shipped_files(), *user_files(paths), given])


def remove_block(paths: Sequence[Path], name: str) -> None:
    """Take the block called `name` (or `measure.name`) out of the last of `paths`."""
    with _alone(paths[-1]):
        own = _read(paths[-1])
        for section in _EDITABLE:
            plain = name.removeprefix(f"{section}.")
            if plain in own.get(section, {}):
                del own[section][plain]
                if not own[section]:
                    del own[section]
                _write(paths, own)
                return
    hint = "Shipped blocks cannot be removed; a dimension can be switched off with `enabled = false`."
    raise BadRequest("registry_unknown", f"{paths[-1]} declares no `{name}`.", hint)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile. Raises `BadRequest` (`registry_busy`) when somebody does for too long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        ends = time.monotonic() + _LOCK_WAIT_S
        while not try_lock(lock):
            if time.monotonic() > ends:
                raise BadRequest("registry_busy", f"Somebody else changes {path} right now.", "Try again.")
            time.sleep(0.02)
        yield


def _read(path: Path) -> dict[str, Any]:
    return tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()


def _write(paths: Sequence[Path], content: dict[str, Any]) -> None:
    text, path = tomlkit.dumps(content), paths[-1]
    parse_registry([*shipped_files(), *user_files(paths[:-1]), SourceFile(str(path), text)])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
