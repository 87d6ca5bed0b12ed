"""Read and validate the TOML files that declare fields of a processed crash.

The shipped file comes first, then the user's; a block of the same name in a later file changes the keys that it gives.
A later file cannot make public what came protected, under its own name or another, unless it says `override = true`.
Every refusal names file and line and, where it can, what was meant.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from missioncontrol.crashes.fields.model import FURTHER_DUMP, Field, Fields
from missioncontrol.crashes.fields.redact import split
from missioncontrol.registry.load import Block, SourceFile, sections, user_files

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}$")
_KEYS = sorted(set(Field.__struct_fields__) - {"name"})
_DUMP_PLACES = ("additional_minidumps", FURTHER_DUMP)
_SEARCHES = {
    "text": {"", "keyword", "text"},
    "integer": {"", "number", "keyword"},
    "number": {"", "number"},
    "bool": {"", "bool"},
    "date": {"", "date"},
    "object": {""},
    "list": {"", "keyword", "text"},
}


class FieldBlock(Block):
    """The merged declaration of one field."""

    code = "fields_invalid"


def shipped_file() -> SourceFile:
    """The declarations that come with the product."""
    file = resources.files("missioncontrol.crashes") / "fields.toml"
    return SourceFile("fields.toml", file.read_text(encoding="utf-8"))


def load_fields(paths: Iterable[Path] = ()) -> Fields:
    """The fields of the shipped file and of `paths` (one that does not exist is passed over).

    Raises `ConfigError` (`fields_invalid`, `fields_unreadable`) at the first thing that is wrong.
    """
    return parse_fields([shipped_file(), *user_files(paths, "fields_unreadable")])


def parse_fields(files: Sequence[SourceFile]) -> Fields:
    """Merge and validate; the first file is the one whose protection the others cannot loosen unsaid."""
    blocks = _merge(files)
    fields = {name: _field(block) for name, block in blocks.items()}
    shipped = {name: _field(block) for name, block in _merge(files[:1]).items()}
    _refuse_shared_places(blocks, fields)
    _refuse_loosened(blocks, fields, shipped)
    revision = hashlib.blake2b("\0".join(f.text for f in files).encode(), digest_size=8).hexdigest()
    return Fields(fields, revision)


def _merge(files: Sequence[SourceFile]) -> dict[str, FieldBlock]:
    blocks: dict[str, FieldBlock] = {}
    for file in files:
        for name, values in sections(file, ("field",), FieldBlock.code).get("field", {}).items():
            block = blocks.setdefault(name, FieldBlock("field", name))
            if not isinstance(values, dict):
                block.files.append(file)
                block.refuse("must be a table of keys")
            block.add(values, file)
    return blocks


def _field(block: FieldBlock) -> Field:
    if not _NAME.match(block.name):
        block.refuse("a name is made of lower-case letters, digits and _, at most 63, a letter first")
    for key in block.values:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(_KEYS)}."
            block.refuse(f"unknown key `{key}`", key, hint)
    values = {"description": "", **block.values, "name": block.name}
    if isinstance(values.get("annotation"), str):
        values["annotation"] = [values["annotation"]] if values["annotation"] else []
    try:
        field = msgspec.convert(values, Field)
    except msgspec.ValidationError as error:
        match = re.search(r"\$\.(\w+)", str(error))
        block.refuse(str(error), match[1] if match else "")
    return _checked(block, field)


def _checked(block: FieldBlock, field: Field) -> Field:
    if not field.description:
        block.refuse("needs a `description`")
    if field.annotation and field.path:
        block.refuse("`annotation` and `path` exclude each other: a copied value lies under its name", "path")
    if field.path and any(not step for step in split(field.path)):
        block.refuse(f"`{field.path}` is no path: keys joined by dots", "path")
    if field.search not in _SEARCHES[field.type]:
        fitting = ", ".join(f'"{s}"' for s in sorted(_SEARCHES[field.type]) if s) or "none"
        block.refuse(
            f'search = "{field.search}" does not fit type = "{field.type}"', "search", f"Fitting: {fitting}."
        )
    if field.facet and not field.search:
        block.refuse("`facet` needs a `search`", "facet")
    return field


def _refuse_shared_places(blocks: dict[str, FieldBlock], fields: dict[str, Field]) -> None:
    places: dict[str, str] = {}
    for name, field in fields.items():
        other = places.setdefault(field.place, name)
        if other != name:
            blocks[name].refuse(f"lies at the same place as `{other}`", "path")


def _refuse_loosened(
    blocks: dict[str, FieldBlock], fields: dict[str, Field], shipped: dict[str, Field]
) -> None:
    hint = "Say `override = true` in the block if that is meant."
    guarded = [f for f in shipped.values() if f.access == "protected"]
    for name, field in fields.items():
        if field.access == "protected" or field.override or field == shipped.get(name):
            continue
        if name not in shipped and field.place.startswith(_DUMP_PLACES):
            blocks[name].refuse("would make public a part of further dumps", "path", hint)
        for other in guarded:
            if name == other.name:
                blocks[name].refuse("came protected and would become public", "access", hint)
            if set(field.annotation) & set(other.annotation):
                blocks[name].refuse(f"would make public what `{other.name}` protects", "annotation", hint)
            if _overlap(field.place, other.place):
                blocks[name].refuse(f"would make public what `{other.name}` protects", "path", hint)


def _overlap(inner: str, outer: str) -> bool:
    """Whether `inner` is the place `outer` or lies in it."""
    steps, around = split(inner), split(outer)
    return steps[: len(around)] == around
