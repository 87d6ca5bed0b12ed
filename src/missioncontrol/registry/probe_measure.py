"""From a probe and what is wanted of it to the TOML block of a measure, or to why there can be none.

Pure: neither reads the dictionary's file nor writes the registry's. What the dictionary knows is checked; what it does
not know is left to the one who asks, and said.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import tomlkit

from missioncontrol.errors import BadRequest
from missioncontrol.registry.load import check_column_name
from missioncontrol.registry.model import Registry
from missioncontrol.registry.probe_checks import (
    YES_OR_NO,
    Wanted,
    check_key,
    count_of,
    documents_of,
    is_distribution,
    obstacle,
    process_of,
)
from missioncontrol.registry.probes import Probe
from missioncontrol.registry.thresholds import bucket_bounds


class MeasureBlock(msgspec.Struct, frozen=True):
    """A block to add, and what is worth knowing about it."""

    name: str
    text: str
    notes: list[str]


def measure_block(probe: Probe, wanted: Wanted, registry: Registry) -> MeasureBlock:
    """The block that counts what is wanted. Raises `BadRequest` with a hint for what cannot be right."""
    reason = obstacle(probe)
    if reason:
        hint = (
            "A text can be a condition of a measure (`where`) or a dimension; see docs/reference/registry.md."
        )
        raise BadRequest(
            "probe_not_measurable", f"{probe.name} ({probe.kind}) can be no measure: {reason}.", hint
        )
    notes: list[str] = []
    process = process_of(probe, wanted)
    check_key(probe, wanted)
    documents = documents_of(probe, wanted, registry, notes)
    count = count_of(probe, wanted, notes)
    name = wanted.name or _name(probe, wanted, process, count)
    _check_name(name, registry)
    source = _source(probe, wanted, process, count)
    _note_age(probe, notes)
    block = {
        "title": wanted.title or _title(probe, wanted, process),
        **({"description": probe.description} if probe.description else {}),
        **({"unit": unit} if (unit := _unit(probe)) else {}),
        **({"group": "slowness"} if "at_least" in count else {}),
        **({"per": wanted.per} if wanted.per else {}),
        **({"worse": wanted.worse} if wanted.worse else {}),
        **({"column_type": "float64"} if probe.kind == "timespan" else {}),
        "from": documents[0] if len(documents) == 1 else documents,
        **source,
    }
    return MeasureBlock(name, _toml(name, block), notes)


def _source(probe: Probe, wanted: Wanted, process: str, count: dict[str, int]) -> dict[str, Any]:
    """The keys that say where a ping holds it, as registry/model.py explains them."""
    key = {"key": wanted.key} if wanted.key else {}
    if probe.family == "simple_measures":
        return {"number": f"payload.simpleMeasurements.{_quoted(probe.name)}"}
    if probe.kind in YES_OR_NO and probe.family != "histogram":
        return {"where": [{"path": _path(probe, wanted, process), "equals": True}]}
    where = {"metric_type": probe.kind} if probe.family == "glean" else {"process": process}
    if is_distribution(probe):
        return {"keyed_histogram" if key else "histogram": probe.name, **key, **where, **count}
    return {"scalar": probe.name, **key, **where}


def _path(probe: Probe, wanted: Wanted, process: str) -> str:
    if probe.family == "glean":
        root = f"metrics.{probe.kind}"
    else:
        root = f"payload.processes.{process}.{'keyedScalars' if probe.keyed else 'scalars'}"
    return ".".join([root, _quoted(probe.name), *([_quoted(wanted.key)] if wanted.key else [])])


def _quoted(key: str) -> str:
    if '"' in key:
        raise BadRequest("probe_key", f"`{key}` holds a quotation mark, which no path can.")
    return key if re.fullmatch(r"\w+", key, re.ASCII) else f'"{key}"'


def _name(probe: Probe, wanted: Wanted, process: str, count: dict[str, int]) -> str:
    """`gc_ms_main_above_150`: probe, process (unless it is a plain count in the parent), key, what is counted."""
    parts = [probe.name]
    if process and (process != "parent" or "at_least" in count):
        parts.append("main" if process == "parent" else process)
    parts += [wanted.key, wanted.label]
    if wanted.at_least:
        parts += ["above", wanted.at_least if probe.family == "glean" else str(count["at_least"])]
    if wanted.bucket is not None:
        parts += ["bucket", str(wanted.bucket)]
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(filter(None, parts)).lower()).strip("_")
    return name if name[:1].isalpha() else f"probe_{name}"


def _check_name(name: str, registry: Registry) -> None:
    hint = "Give it another name: registry add NAME --probe ..."
    wrong = check_column_name(name)
    if wrong:
        raise BadRequest("measure_name", f"`{name}` cannot be the name of a measure: {wrong}.", hint)
    if name in registry.measures or name in registry.dimensions:
        raise BadRequest("measure_declared", f"`{name}` is declared already.", hint)


def _title(probe: Probe, wanted: Wanted, process: str) -> str:
    what = f"{probe.name}[{wanted.key}]" if wanted.key else probe.name
    if wanted.at_least:
        what += f", {re.sub(r'(?<=[0-9])(?=[A-Za-zµ])', ' ', wanted.at_least.strip())} and more"
    if wanted.label or wanted.bucket is not None:
        what += f", {wanted.label or f'bucket {wanted.bucket}'}"
    return f"{what} ({'main' if process == 'parent' else process})" if process else what


def _unit(probe: Probe) -> str:
    if is_distribution(probe):
        return "samples"
    if probe.kind in YES_OR_NO:
        return "pings"
    return "s" if probe.kind == "timespan" else probe.unit


def _note_age(probe: Probe, notes: list[str]) -> None:
    if probe.retired:
        last = f" (last in {probe.last})" if probe.last else ""
        notes.append(f"{probe.name} is no longer recorded by the newest versions{last}.")
    if not probe.on_release:
        notes.append(f"{probe.name} is recorded on prerelease channels only.")


def _toml(name: str, block: dict[str, Any]) -> str:
    """The block as text, one key a line, tables of `where` inline."""
    table = tomlkit.table()
    for key, value in block.items():
        table[key] = _item(value)
    document = tomlkit.document()
    section = tomlkit.table(is_super_table=True)
    section[name] = table
    document["measure"] = section
    return tomlkit.dumps(document)


def _item(value: Any) -> Any:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return value
    items = tomlkit.array()
    for entry in value:
        inline = tomlkit.inline_table()
        inline.update(entry)
        items.append(inline)
    return items


def suggestion(probe: Probe) -> str:
    """The options of a `registry add` that would declare a measure; empty when none can."""
    if obstacle(probe):
        return ""
    options = [f"--probe {probe.name}"]
    known = set(probe.processes)
    if known and not known & {"parent", "all"} and (len(known) > 1 or "all_children" in known):
        child = next((p for p in probe.processes if p != "all_children"), "content")
        options.append(f"--process {child}")
    if probe.keyed:
        options.append(f"--key {probe.keys[0] if probe.keys else 'KEY'}")
    if not is_distribution(probe):
        return " ".join(options)
    bounds = bucket_bounds(probe)
    kind = probe.kind.removeprefix("labeled_")
    if kind in ("timing_distribution", "memory_distribution"):
        options.append("--at-least " + ("250ms" if kind == "timing_distribution" else "100MiB"))
    elif bounds:
        options.append(f"--at-least {bounds[2 * len(bounds) // 3]}")
    elif probe.kind == "categorical" and probe.labels:
        options.append(f"--label {probe.labels[0]}")
    elif probe.kind in ("boolean", "enumerated"):
        options.append("--bucket 1")
    return " ".join(options)
