"""What the forms of the registry page say, as blocks of TOML: the same text that `registry add` takes from a file.

Decides nothing about what is valid: that is the registry's, and its refusals are those of the command line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from missioncontrol.errors import BadRequest
from missioncontrol.registry.edit import check_text, declared
from missioncontrol.registry.load import SourceFile, check_column_name, names_in
from missioncontrol.registry.model import Registry
from missioncontrol.registry.probe_checks import Wanted
from missioncontrol.registry.probe_measure import measure_block
from missioncontrol.registry.probe_pick import pick

HOWS = {"probe": "By its probe", "measure": "A measure", "dimension": "A dimension", "toml": "As TOML"}
KINDS = {
    "histogram": "histogram: samples",
    "keyed_histogram": "keyed histogram: samples of one key",
    "scalar": "scalar: its value",
    "number": "plain number: the path of one",
    "predicate": "pings: how many fulfil a condition",
}
_SECTIONS = ("measure", "dimension")
_FILE = "form"
"""What refusals call the text of a form, where they would name a file."""
_WITH_KEY = ("keyed_histogram", "scalar")
Fields = Mapping[str, str]


class Candidate(msgspec.Struct, frozen=True):
    """Blocks that are not declared yet."""

    file: SourceFile
    names: tuple[str, ...]
    """Of measures and dimensions, in the order of the text."""
    registry: Registry
    """The registry as it would be with them."""
    notes: tuple[str, ...] = ()


def read_candidate(
    how: str, fields: Fields, paths: list[Path], probes: Path, registry: Registry
) -> Candidate:
    """The blocks that a form asks for, valid as a whole. Raises `BadRequest` and `ConfigError`."""
    notes: list[str] = []
    if how == "probe":
        text, notes = _of_probe(fields, probes, registry)
    elif how in ("measure", "dimension"):
        text = _block(how, fields, _measure(fields) if how == "measure" else _dimension(fields))
    elif how == "toml":
        text = fields.get("text", "").replace("\r\n", "\n")
    else:
        known = ", ".join(HOWS)
        raise BadRequest("bad_parameter", f"`add` cannot be `{how[:60]}`.", f"Choose one of: {known}.")
    file = SourceFile(_FILE, text)
    names = _new_names(file, registry)
    return Candidate(file, names, check_text(paths, file), tuple(notes))


def _new_names(file: SourceFile, registry: Registry) -> tuple[str, ...]:
    found = names_in([file])
    others = [section for section in found if found[section] and section not in _SECTIONS]
    if others:
        hint = (
            "Documents and applications are declared in the registry file itself, or by `registry add FILE`."
        )
        raise BadRequest("registry_section", f"The page takes no [{others[0]}.NAME].", hint)
    names = tuple(name for section in _SECTIONS for name in found[section])
    if not names:
        hint = "Blocks begin with [measure.NAME] or [dimension.NAME]."
        raise BadRequest("registry_empty", "There is no block in the text.", hint)
    for name in names:
        if (name in registry.measures or name in registry.dimensions) and not _only_switches(file, name):
            raise declared(name)
    return names


def _only_switches(file: SourceFile, name: str) -> bool:
    """Whether it is the block of a dimension that says nothing but that it is in use."""
    block = tomllib.loads(file.text).get("dimension", {}).get(name)
    return isinstance(block, dict) and block == {"enabled": True}


def _of_probe(fields: Fields, probes: Path, registry: Registry) -> tuple[str, list[str]]:
    name = _text(fields, "probe")
    if not name:
        raise BadRequest("probe_missing", "Which probe is to be counted?", "As in GC_MS or page.load.")
    wanted = Wanted(
        name=_text(fields, "name"),
        process=_text(fields, "process"),
        at_least=_text(fields, "at_least"),
        bucket=_whole(fields, "bucket"),
        label=_text(fields, "label"),
        key=_text(fields, "key"),
        per=_text(fields, "per"),
        worse=_text(fields, "worse"),
        title=_text(fields, "title"),
        documents=tuple(filter(None, [_text(fields, "from")])),
    )
    probe, notes = pick(probes, name, _text(fields, "source"), _text(fields, "as"), is_keyed=bool(wanted.key))
    block = measure_block(probe, wanted, registry)
    return block.text, [*notes, *block.notes]


def _measure(fields: Fields) -> dict[str, Any]:
    kind = _text(fields, "kind")
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise BadRequest("bad_parameter", f"`kind` cannot be `{kind[:60]}`.", f"Choose one of: {known}.")
    of_histogram = "histogram" in kind
    glean = _text(fields, "metric_type")
    where = _where(fields)
    return {
        "unit": _text(fields, "unit"),
        "group": _text(fields, "group"),
        "per": _text(fields, "per"),
        "worse": _text(fields, "worse"),
        "comparable_since": _text(fields, "comparable_since"),
        "from": _text(fields, "from"),
        **({} if kind == "predicate" else {kind: _text(fields, "of")}),
        "key": _text(fields, "key") if kind in _WITH_KEY else "",
        "metric_type": glean,
        "process": "" if glean or kind in ("number", "predicate") else _text(fields, "process"),
        "at_least": _whole(fields, "at_least") if of_histogram else None,
        "bucket": _whole(fields, "bucket") if of_histogram else None,
        **({"where": where} if where else {}),
    }


def _where(fields: Fields) -> Any:
    path = _text(fields, "where_path")
    if not path:
        return None
    inline = tomlkit.inline_table()
    inline.update({"path": path, "equals": _scalar(_text(fields, "where_equals"))})
    items = tomlkit.array()
    items.append(inline)
    return items


def _scalar(text: str) -> str | int | bool:
    """`true`, `false` and whole numbers are what they look like; all else is text."""
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text) if text.removeprefix("-").isdecimal() else text
    except ValueError:
        return text


def _dimension(fields: Fields) -> dict[str, Any]:
    source = tomlkit.inline_table()
    source.update({_text(fields, "from"): _text(fields, "path")})
    if _text(fields, "also"):
        source.update({_text(fields, "also"): _text(fields, "also_path") or _text(fields, "path")})
    return {
        "from": source,
        "normalise": _text(fields, "normalise"),
        "ordered": bool(_text(fields, "ordered")) or None,
        "experiments": bool(_text(fields, "experiments")) or None,
    }


def _block(section: str, fields: Fields, values: dict[str, Any]) -> str:
    """One block; keys without a value are left out, as who writes TOML would."""
    name = _text(fields, "name")
    wrong = check_column_name(name)
    if wrong:
        raise BadRequest("registry_name", f"`{name[:80]}` cannot be the name: {wrong}.")
    table = tomlkit.table()
    title = _text(fields, "title") or name.replace("_", " ")
    described = {"title": title, "description": _text(fields, "description")}
    for key, value in {**described, **values}.items():
        if value is not None and value != "":
            table[key] = value
    document, parent = tomlkit.document(), tomlkit.table(is_super_table=True)
    parent[name] = table
    document[section] = parent
    return tomlkit.dumps(document)


def _text(fields: Fields, name: str) -> str:
    return fields.get(name, "").strip()


def _whole(fields: Fields, name: str) -> int | None:
    text = _text(fields, name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadRequest("bad_number", f"`{name}` is no whole number: {text[:60]}.") from None
