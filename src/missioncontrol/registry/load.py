"""Read and validate the TOML files of the registry.

Shipped files come first, then the user's; a block of the same name in a later file changes the keys that it gives
(`[dimension.gfx_compositor] enabled = true`). Every refusal names file and line and, where it can, what was meant.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from missioncontrol.errors import ConfigError
from missioncontrol.registry.model import (
    CRASH_REPORT,
    Application,
    Dimension,
    Document,
    Kind,
    Measure,
    MeasureSource,
    Registry,
)
from missioncontrol.registry.paths import check_path
from missioncontrol.registry.report_checks import dimension_fault, document_fault, measure_fault

SHIPPED = ("firefox.toml", "glean.toml", "crash_reports.toml")
_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "application": Application,
    "document": Document,
    "dimension": Dimension,
    "measure": Measure,
}
_SOURCE_KEYS = {f for f in MeasureSource.__struct_fields__ if f not in ("documents", "kind")} | {"from"}
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}$")
RESERVED = {
    "window_start", "window_end", "submission_date", "submission_date_s3", "experiment_id", "experiment_branch",
    "arrival", "activity", "starts", "reason", "format", "limit", "order", "measurements", "dimensions", "per",
    "interval",
}  # fmt: skip
T = TypeVar("T", bound=msgspec.Struct)


class SourceFile(msgspec.Struct, frozen=True):
    """One registry file: its name for messages and its text."""

    name: str
    text: str


class Block:
    """One merged declaration, with where each of its keys was written."""

    code = "registry_invalid"
    """Code of the errors that `refuse` raises."""

    def __init__(self, section: str, name: str) -> None:
        self.section = section
        self.name = name
        self.values: dict[str, Any] = {}
        self.files: list[SourceFile] = []

    def add(self, values: dict[str, Any], file: SourceFile) -> None:
        """Lay the keys of a later file over those known so far."""
        if self.section == "measure" and (_SOURCE_KEYS | {"sources"}) & values.keys():
            for key in _SOURCE_KEYS | {"sources"}:
                self.values.pop(key, None)
        self.values.update(values)
        self.files.append(file)

    def refuse(self, message: str, key: str = "", hint: str = "") -> NoReturn:
        """Raise a ConfigError that points at the block, or at `key` in it."""
        file, line = self._locate(key)
        raise ConfigError(self.code, f"{file.name}:{line}: [{self.section}.{self.name}] {message}", hint)

    def _locate(self, key: str) -> tuple[SourceFile, int]:
        header = re.compile(rf'\s*\[\[?\s*{self.section}\s*\.\s*"?{re.escape(self.name)}"?\s*[\].]')
        for file in reversed(self.files):
            inside, first = False, 0
            for number, text in enumerate(file.text.splitlines(), 1):
                if text.lstrip().startswith("["):
                    inside = bool(header.match(text))
                    first = first or (number if inside else 0)
                if inside and key and re.match(rf'\s*"?{re.escape(key)}"?\s*[.=]', text):
                    return file, number
            if first and (not key or file is self.files[0]):
                return file, first
        return self.files[-1], 1


def shipped_files() -> list[SourceFile]:
    """The files that come with the product."""
    folder = resources.files("missioncontrol.registry")
    return [SourceFile(name, (folder / name).read_text(encoding="utf-8")) for name in SHIPPED]


def user_files(paths: Iterable[Path], code: str = "registry_unreadable") -> list[SourceFile]:
    """The user's files; one that does not exist is passed over. Raises `ConfigError` (`code`)."""
    found = []
    for path in paths:
        try:
            found.append(SourceFile(str(path), path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(code, f"{path}: {error}", "The file must be UTF-8 text.") from None
    return found


def names_in(files: Iterable[SourceFile]) -> dict[str, list[str]]:
    """Names of the blocks in the files by section, each once, in order. Raises `ConfigError` when one is no TOML."""
    names: dict[str, list[str]] = {section: [] for section in _SECTIONS}
    for block in _merge(list(files)):
        names[block.section].append(block.name)
    return names


def load_registry(paths: Iterable[Path] = ()) -> Registry:
    """The registry of the shipped files and `paths`. Raises `ConfigError` at the first thing that is wrong."""
    return parse_registry([*shipped_files(), *user_files(paths)])


def parse_registry(files: Sequence[SourceFile], reserved: Collection[str] = RESERVED) -> Registry:
    """Merge and validate; `revision` is a digest of the texts. No column may have a `reserved` name."""
    blocks = _merge(files)
    for block in blocks:
        if block.section in ("dimension", "measure"):
            _check_name(block, reserved)
    documents = {b.name: _document(b) for b in blocks if b.section == "document"}
    families = {d.family for d in documents.values() if d.family}
    dimensions = {b.name: _dimension(b, documents, families) for b in blocks if b.section == "dimension"}
    measures = {b.name: _measure(b, documents) for b in blocks if b.section == "measure"}
    applications = {b.name: _convert(b, Application) for b in blocks if b.section == "application"}
    _check_across(blocks, dimensions, measures)
    revision = hashlib.blake2b("\0".join(f.text for f in files).encode(), digest_size=8).hexdigest()
    return Registry(documents, dimensions, measures, applications, revision)


def _merge(files: Sequence[SourceFile]) -> list[Block]:
    blocks: dict[tuple[str, str], Block] = {}
    for file in files:
        for section, entries in sections(file, _SECTIONS, Block.code).items():
            for name, values in entries.items():
                block = blocks.setdefault((section, name), Block(section, name))
                if not isinstance(values, dict):
                    block.files.append(file)
                    block.refuse("must be a table of keys")
                block.add(values, file)
    return list(blocks.values())


def sections(file: SourceFile, known: Collection[str], code: str) -> dict[str, dict[str, Any]]:
    """What a file declares, by section and name. Raises `ConfigError` (`code`) for no TOML and for other sections."""
    try:
        content = tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        # With a line also where the parser only says that the document ended.
        last = f"at line {len(file.text.splitlines())}, the last one"
        placed = str(error).replace("at end of document", last)
        raise ConfigError(code, f"{file.name}: no TOML: {placed}") from None
    for section, entries in content.items():
        if section not in known or not isinstance(entries, dict):
            hint = _suggest(section, known) or f"Blocks: {', '.join(f'[{s}.NAME]' for s in known)}."
            line = next((i for i, t in enumerate(file.text.splitlines(), 1) if section in t), 1)
            raise ConfigError(code, f"{file.name}:{line}: unknown block [{section}]", hint)
    return content


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"Did you mean `{close[0]}`?" if close else ""


def _convert(block: Block, kind: type[T], values: dict[str, Any] | None = None) -> T:
    values = block.values if values is None else values
    if values is block.values:
        _refuse_unknown_keys(block, {*kind.__struct_fields__} - {"name"})
    try:
        return msgspec.convert({**values, "name": block.name}, kind)
    except msgspec.ValidationError as error:
        match = re.search(r"\$\.(\w+)", str(error))
        key = match[1] if match else ""
        block.refuse(str(error), key)


def _refuse_unknown_keys(block: Block, known: set[str]) -> None:
    for key in block.values:
        if key not in known:
            block.refuse(
                f"unknown key `{key}`", key, _suggest(key, known) or f"Known: {', '.join(sorted(known))}."
            )


def _paths(block: Block, paths: Iterable[str], key: str) -> None:
    for path in paths:
        try:
            check_path(path)
        except ValueError as error:
            block.refuse(str(error), key)


def _document(block: Block) -> Document:
    document = _convert(block, Document)
    if fault := document_fault(document, block.values):
        block.refuse(*fault)
    for entry in document.required:
        _paths(block, [entry] if isinstance(entry, str) else entry, "required")
    for key in ("client", "session"):
        _paths(block, [getattr(document, key)] if getattr(document, key) else [], key)
    for check in document.accept:
        if not check.reason:
            block.refuse("each check of `accept` needs a `reason`", "accept")
        if not check.build_age or check.path:
            _paths(block, [check.path], "accept")
    return document


def _dimension(block: Block, documents: dict[str, Document], families: set[str]) -> Dimension:
    values = dict(block.values)
    sources = values.pop("from", {})
    if not isinstance(sources, dict):
        block.refuse('`from` needs one entry a document, as in from.main = "path"', "from")
    values["sources"] = {k: [v] if isinstance(v, str) else v for k, v in sources.items()}
    _refuse_unknown_keys(block, {*Dimension.__struct_fields__, "from"} - {"name", "sources"})
    dimension = _convert(block, Dimension, values)
    for name, paths in dimension.sources.items():
        if name not in documents and name not in families:
            block.refuse(f"`from.{name}` names no document", "from", _suggest(name, [*documents, *families]))
        _paths(block, paths, "from")
    if fault := dimension_fault(dimension):
        block.refuse(*fault)
    return dimension


def _measure(block: Block, documents: dict[str, Document]) -> Measure:
    values = {k: v for k, v in block.values.items() if k not in _SOURCE_KEYS}
    single = {k: v for k, v in block.values.items() if k in _SOURCE_KEYS}
    _refuse_unknown_keys(block, {*Measure.__struct_fields__, *_SOURCE_KEYS} - {"name"})
    if single and "sources" in values:
        block.refuse("give either `sources` or the keys of one source", "sources")
    entries = values.pop("sources", None) or [single]
    sources = [_source(block, entry, documents) for entry in entries]
    of_reports = any(CRASH_REPORT in s.documents for s in sources)
    if of_reports or any(s.scale != 1 or s.divide != 1 for s in sources):
        values["column_type"] = "float64"  # a report stands for 1 / throttle_rate crashes
    measure = _convert(block, Measure, {"title": block.name.replace("_", " "), **values, "sources": []})
    measure = msgspec.structs.replace(measure, sources=sources)
    if fault := measure_fault(measure):
        block.refuse(*fault)
    if measure.comparable_since and not _is_day(measure.comparable_since):
        hint = 'Write a day as "2026-01-31".'
        block.refuse(
            f"`comparable_since` is no day: `{measure.comparable_since[:40]}`", "comparable_since", hint
        )
    return measure


def _is_day(text: str) -> bool:
    """Whether it is a day as releases' days are written, since these are compared with it as text."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _source(block: Block, entry: dict[str, Any], documents: dict[str, Document]) -> MeasureSource:
    for key in entry:
        if key not in _SOURCE_KEYS:
            block.refuse(f"unknown key `{key}`", key, _suggest(key, _SOURCE_KEYS))
    values = dict(entry)
    names = values.pop("from", None)
    if not names:
        block.refuse("`from` is missing: name the documents", "from", f"Known: {', '.join(documents)}.")
    values["documents"] = [names] if isinstance(names, str) else names
    try:
        source = msgspec.convert(values, MeasureSource)
    except msgspec.ValidationError as error:
        match = re.search(r"\$\.(\w+)", str(error))
        block.refuse(str(error), match[1] if match else "")
    for name in source.documents:
        if name not in documents:
            block.refuse(f"`from` names no document `{name}`", "from", _suggest(name, documents))
        _check_glean(block, source, documents[name])
    kind = _kind(block, source)
    for check in source.where:
        _paths(block, [check.path], "where")
    return msgspec.structs.replace(source, kind=kind)


def _check_glean(block: Block, source: MeasureSource, document: Document) -> None:
    metric = source.histogram or source.keyed_histogram or source.scalar
    if metric and document.family == "glean" and not source.metric_type:
        block.refuse("a Glean metric needs its `metric_type`, e.g. counter or timing_distribution", "from")
    if source.metric_type and document.family != "glean":
        block.refuse("`metric_type` is for Glean documents only", "metric_type")


def _kind(block: Block, source: MeasureSource) -> Kind:
    named = [k for k in ("histogram", "keyed_histogram", "scalar", "number") if getattr(source, k)]
    if len(named) > 1:
        block.refuse(f"`{named[0]}` and `{named[1]}` exclude each other", named[1])
    name = named[0] if named else "predicate"
    if name == "keyed_histogram" and not source.key:
        block.refuse("`keyed_histogram` needs a `key`", name)
    if name in ("histogram", "keyed_histogram"):
        if source.at_least is not None and source.bucket is not None:
            block.refuse("`at_least` and `bucket` exclude each other", "at_least")
        return "threshold" if source.at_least is not None else cast(Kind, name)
    if source.at_least is not None or source.bucket is not None:
        key = "bucket" if source.at_least is None else "at_least"
        block.refuse("`at_least` and `bucket` go with a histogram", key)
    if name == "number":
        _paths(block, [source.number], "number")
    if source.clamp and (len(source.clamp) != 2 or source.clamp[0] > source.clamp[1]):
        block.refuse("`clamp` is [lowest, highest]", "clamp")
    if source.divide == 0:
        block.refuse("`divide` must not be 0", "divide")
    return cast(Kind, name)


def check_column_name(name: str, reserved: Collection[str] = RESERVED) -> str:
    """Why a name cannot be that of a measure or dimension; empty when it can."""
    if not _COLUMN.match(name):
        return "a name becomes a column: lower-case letters, digits and _, at most 63, a letter first"
    if name in reserved or name.endswith("__isnull"):
        return "the name is taken by a column or parameter of its own"
    return ""


def _check_name(block: Block, reserved: Collection[str]) -> None:
    wrong = check_column_name(block.name, reserved)
    if wrong:
        block.refuse(wrong)


def _check_across(
    blocks: Sequence[Block], dimensions: dict[str, Dimension], measures: dict[str, Measure]
) -> None:
    for block in blocks:
        if block.section == "measure":
            _check_per(block, measures, dimensions)


def _check_per(block: Block, measures: dict[str, Measure], dimensions: dict[str, Dimension]) -> None:
    per = measures[block.name].per
    if block.name in dimensions:
        block.refuse("there is a dimension of the same name")
    if per and per not in measures:
        block.refuse(f"`per` names no measure `{per}`", "per", _suggest(per, measures))
