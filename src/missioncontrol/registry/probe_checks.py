"""What is wanted of a probe, held against what the dictionary knows of it: every refusal has a hint.

What the dictionary does not know is left to the one who asks.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.model import Registry
from missioncontrol.registry.probes import Probe
from missioncontrol.registry.thresholds import (
    bucket_bounds,
    check_threshold,
    first_bucket,
    in_words,
    parse_threshold,
    unit_of,
)

_UNORDERED = ("boolean", "flag", "count", "enumerated", "categorical")
"""Histograms whose buckets are no sizes."""
_NUMBERS = ("uint", "counter", "quantity", "timespan", "labeled_counter", "labeled_quantity")
YES_OR_NO = ("boolean", "labeled_boolean")


class Wanted(msgspec.Struct, frozen=True):
    """What a measure is to count. Empty and None: not said."""

    name: str = ""
    process: str = ""
    at_least: str = ""
    """With or without a unit."""
    bucket: int | None = None
    label: str = ""
    """Category of a categorical histogram."""
    key: str = ""
    per: str = "usage_hours"
    worse: str = "up"
    title: str = ""
    documents: tuple[str, ...] = ()


def obstacle(probe: Probe) -> str:
    """Why a probe can be no measure; empty when it can."""
    if probe.family == "histogram":
        return ""
    if probe.family in ("event", "environment"):
        return "an event is no number" if probe.family == "event" else "it describes the client: a dimension"
    if probe.family == "simple_measures":
        return ""
    if probe.kind in (*_NUMBERS, *YES_OR_NO) or is_distribution(probe):
        return ""
    what = {"string": "text", "text": "text", "event": "an event", "datetime": "a time"}.get(
        probe.kind, probe.kind
    )
    return f"{what} is no number that can be summed"


def is_distribution(probe: Probe) -> bool:
    """Whether a ping holds it as counts by bucket."""
    return probe.family == "histogram" or probe.kind.endswith("_distribution")


def process_of(probe: Probe, wanted: Wanted) -> str:
    """The process as pings call it; empty for Glean, which knows none."""
    asked = "parent" if wanted.process == "main" else wanted.process
    if probe.family in ("glean", "simple_measures"):
        if asked not in ("", "parent"):
            raise BadRequest(
                "probe_process", f"{probe.name} is not recorded by process.", "Leave --process out."
            )
        return ""
    known = probe.processes
    process = asked or (known[0] if len(known) == 1 and not known[0].startswith("all") else "parent")
    is_child = process != "parent" and "all_children" in known
    if known and process not in known and "all" not in known and not is_child:
        hint = f"Recorded in: {', '.join(known)}."
        raise BadRequest("probe_process", f"{probe.name} is not recorded in the process {process}.", hint)
    return process


def check_key(probe: Probe, wanted: Wanted) -> None:
    """Raise `BadRequest` (`probe_key`) unless a key is given where there are keys, and one that can be."""
    word = "label" if probe.family == "glean" else "key"
    known = f"Known: {_some(probe.keys)}." if probe.keys else f"The dictionary does not list its {word}s."
    if probe.keyed and not wanted.key:
        raise BadRequest("probe_key", f"{probe.name} is recorded by {word}: say which with --key.", known)
    if wanted.key and not probe.keyed:
        raise BadRequest("probe_key", f"{probe.name} has no {word}s.", "Leave --key out.")
    if wanted.key and probe.keys and wanted.key not in (*probe.keys, "__other__"):
        raise BadRequest("probe_key", f"{probe.name} has no {word} `{wanted.key}`.", known)


def _some(words: Iterable[str], most: int = 20) -> str:
    listed = list(words)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def documents_of(probe: Probe, wanted: Wanted, registry: Registry, notes: list[str]) -> list[str]:
    """The documents to count it from: those that are asked for, else by what the dictionary says."""
    is_glean = probe.family == "glean"
    for name in wanted.documents:
        document = registry.documents.get(name)
        if document and (document.family == "glean") is not is_glean:
            kind = "a Glean metric" if is_glean else "a probe of legacy pings"
            raise BadRequest("probe_document", f"{probe.name} is {kind}; the document {name} holds no such.")
    if wanted.documents:
        return list(wanted.documents)
    return [_glean_document(probe, registry, notes)] if is_glean else ["main"]


def _glean_document(probe: Probe, registry: Registry, notes: list[str]) -> str:
    """One document of those that carry the metric: each carries the whole of it, so that two would count it twice."""
    by_ping = {d.type: d for d in registry.documents.values() if d.family == "glean"}
    pings = [p for p in probe.pings if p in by_ping]
    if {"default", "all-pings", "all_pings"} & set(probe.pings) and "metrics" in by_ping:
        pings.append("metrics")
    if not probe.pings:
        notes.append(
            "The dictionary does not say in which ping it is sent; taken is metrics (--from is another)."
        )
        pings = ["metrics"]
    if not pings:
        block = f'[document.NAME] with family = "glean" and type = "{probe.pings[0]}"'
        hint = f"Declare it first ({block}), or name another with --from."
        message = f"{probe.name} is sent in {_some(probe.pings)}, which no declared document is."
        raise BadRequest("probe_document", message, hint)
    chosen = by_ping["metrics" if "metrics" in pings else pings[0]]
    if len(set(pings)) > 1:
        notes.append(
            f"Sent in {_some(dict.fromkeys(pings))}; counted from {chosen.name} alone, or it would count twice."
        )
    return chosen.name


def count_of(probe: Probe, wanted: Wanted, notes: list[str]) -> dict[str, int]:
    """What of a probe is counted: `at_least` or `bucket` of a distribution; empty: all samples, or the value itself."""
    if wanted.label:
        return {"bucket": _category(probe, wanted.label)}
    if not is_distribution(probe):
        if wanted.at_least or wanted.bucket is not None:
            hint = "A threshold needs a histogram or a distribution; for a number leave it out."
            raise BadRequest("probe_threshold", f"{probe.name} ({probe.kind}) has no buckets.", hint)
        return {}
    if wanted.at_least and wanted.bucket is not None:
        raise BadRequest("probe_threshold", "--at-least and --bucket exclude each other.")
    if wanted.at_least:
        return {"at_least": _threshold(probe, wanted.at_least, notes)}
    if wanted.bucket is not None:
        return {"bucket": _bucket(probe, wanted.bucket)}
    # A counter is sent as the count of its bucket 0; a flag that was set as one sample in bucket 1.
    default = {"count": 0, "flag": 1}.get(probe.kind) if probe.family == "histogram" else None
    return {} if default is None else {"bucket": default}


def _category(probe: Probe, label: str) -> int:
    if probe.kind != "categorical":
        hint = "The label of a Glean metric is its --key." if probe.keyed else ""
        raise BadRequest("probe_key", f"{probe.name} ({probe.kind}) has no categories.", hint)
    if label not in probe.labels:
        raise BadRequest(
            "probe_key", f"{probe.name} has no category `{label}`.", f"Known: {_some(probe.labels)}."
        )
    return probe.labels.index(label)


def _threshold(probe: Probe, text: str, notes: list[str]) -> int:
    if probe.kind in _UNORDERED and probe.family == "histogram":
        hint = {
            "categorical": f"Name a category with --label: {_some(probe.labels)}.",
            "boolean": "--bucket 1 counts true, --bucket 0 false.",
            "enumerated": "Name a value with --bucket.",
        }.get(probe.kind, "Leave --at-least out.")
        raise BadRequest("probe_threshold", f"The buckets of {probe.name} ({probe.kind}) are no sizes.", hint)
    threshold = parse_threshold(probe, text)
    check_threshold(probe, threshold)
    first = first_bucket(probe, threshold)
    if first is not None and first > threshold:
        notes.append(f"The first bucket that counts begins at {in_words(first, unit_of(probe))}.")
    if first is not None and first < threshold:
        notes.append(f"Clients say {first:,} of the bucket that begins at {threshold:,}; it counts.")
        return first
    return threshold


def _bucket(probe: Probe, bucket: int) -> int:
    """A bucket that the probe has, as far as is known."""
    if probe.kind.removeprefix("labeled_") in ("timing_distribution", "memory_distribution"):
        hint = "Give a threshold with --at-least."
        raise BadRequest(
            "probe_threshold", f"The buckets of {probe.name} ({probe.kind}) are not fixed.", hint
        )
    bounds = bucket_bounds(probe)
    if bounds and bucket not in bounds:
        near = sorted(sorted(bounds, key=lambda b: abs(b - bucket))[:4])
        hint = f"Buckets near it begin at {', '.join(map(str, near))}."
        raise BadRequest("probe_threshold", f"No bucket of {probe.name} begins at {bucket}.", hint)
    most = {
        "boolean": 1,
        "flag": 1,
        "count": 0,
        "categorical": len(probe.labels) - 1 if probe.labels else None,
    }.get(probe.kind, probe.high)
    if bucket < 0 or (most is not None and bucket > most):
        raise BadRequest(
            "probe_threshold", f"{probe.name} has no bucket {bucket}.", f"The last one is {most}."
        )
    return bucket
