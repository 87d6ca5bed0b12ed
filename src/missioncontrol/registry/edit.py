"""Changing the user's own registry file: validated as a whole first, written atomically, comments kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomlkit

from missioncontrol.errors import BadRequest
from missioncontrol.registry.load import SourceFile, parse_registry, shipped_files, user_files
from missioncontrol.registry.model import Registry

_EDITABLE = ("measure", "dimension", "document", "application")


def add_blocks(paths: Sequence[Path], file: Path) -> list[str]:
    """Add or replace the blocks of `file` in the last of `paths`; returns their names as `measure.x`.

    Raises `ConfigError` and writes nothing when the result would not be valid.
    """
    [given] = user_files([file])
    return add_text(paths, given)


def add_text(paths: Sequence[Path], given: SourceFile) -> list[str]:
    """The same for blocks that are in no file; `given.name` names them in refusals."""
    check_text(paths, given)
    added: dict[str, Any] = tomlkit.parse(given.text)
    own = _read(paths[-1])
    names = []
    for section in added:
        for name, block in added[section].items():
            own.setdefault(section, tomlkit.table(is_super_table=True))[name] = block
            names.append(f"{section}.{name}")
    _write(paths, own)
    return names


def check_text(paths: Sequence[Path], given: SourceFile) -> Registry:
    """The registry as it would be with these blocks. Raises `ConfigError`; writes nothing."""
    return parse_registry([*shipped_files(), *user_files(paths), given])


def remove_block(paths: Sequence[Path], name: str) -> None:
    """Take the block called `name` (or `measure.name`) out of the last of `paths`."""
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
