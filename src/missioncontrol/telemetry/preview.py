"""What a measure or a dimension finds in archived pings, before or after it is declared.

`preview()` looks at the newest pings of the documents that it is taken from, `survey()` at a sample of the last day and
at everything that is declared. Both extract as the stream does, and write nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

import msgspec
import structlog

from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.registry import Registry
from missioncontrol.telemetry.archive import Archived, parts, read_part
from missioncontrol.telemetry.archive_sample import archived_body, choose_sample, submissions
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.estimate import Estimate, estimate
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact
from missioncontrol.telemetry.submission import Submission

NEWEST_PINGS = 2_000
SURVEY_PINGS = 4_000
"""Pings that are looked at, at most."""
MOST_EXAMPLES = 8
_logger = structlog.get_logger()


class Example(msgspec.Struct, frozen=True):
    """A value (null: None) and in how many of the pings it was."""

    value: str | None
    pings: int


class Preview(msgspec.Struct, frozen=True):
    """What the newest pings hold of one measure or dimension."""

    pings: int
    """Counted pings that were looked at."""
    having: int
    """Those with a value that is not null."""
    first: datetime | None
    last: datetime | None
    """When the oldest and the newest of them arrived."""
    examples: tuple[Example, ...]
    """The most frequent values, that of most pings first."""
    distinct: int
    """How many different values there were."""
    refused: tuple[Example, ...]
    """Pings that would not be counted any more, by the reason."""
    estimate: Estimate | None
    """What it adds to a day; None: nothing is archived."""


class Survey(msgspec.Struct, frozen=True):
    """What a sample of the last day holds of all that is declared and in use."""

    day: date
    pings: int
    values: dict[str, tuple[Example, ...]]
    """By dimension: the most frequent values."""
    distinct: dict[str, int]
    """By dimension: how many different values, null among them."""
    having: dict[str, int]
    """By measure: pings that have it."""
    estimate: Estimate | None


def preview(
    archive: Snapshot | None,
    registry: Registry,
    name: str,
    *,
    today: date,
    max_inflated_bytes: int,
    most: int = NEWEST_PINGS,
) -> Preview:
    """The newest pings under a registry that declares `name`, which need not be in force.

    Raises `StorageError` when a file cannot be read or was merged into another meanwhile.
    """
    documents = documents_of(registry, name)
    found: Counter[str | None] = Counter()
    refused: Counter[str | None] = Counter()
    times: list[int] = []
    extractor = Extractor(registry)
    for one in _newest(archive, documents, most):
        fact = _fact(extractor, one.submission, max_inflated_bytes)
        if isinstance(fact, Discard):
            refused[f"{fact.reason} {fact.detail}".strip()] += 1
            continue
        times.append(one.submission.received_ns)
        found[_value(registry, fact, name)] += 1
    of_dimension = name in registry.dimensions
    return Preview(
        pings=len(times),
        having=sum(found.values()) - found[None],
        first=_moment(min(times, default=None)),
        last=_moment(max(times, default=None)),
        examples=_examples(found)
        if of_dimension
        else _examples(Counter({k: n for k, n in found.items() if k})),
        distinct=len([k for k, n in found.items() if k is not None and n]),
        refused=_examples(refused),
        estimate=estimate(
            archive,
            registry,
            [name] if of_dimension else [],
            [] if of_dimension else [name],
            today=today,
            max_inflated_bytes=max_inflated_bytes,
            max_pings=SURVEY_PINGS,
        ),
    )


def survey(
    archive: Snapshot | None,
    registry: Registry,
    dimensions: Iterable[str],
    measures: Iterable[str],
    *,
    today: date,
    max_inflated_bytes: int,
) -> Survey | None:
    """A sample of the last day under the registry in force, with the cost of these; None when nothing is archived."""
    sample = choose_sample(archive, today, SURVEY_PINGS) if archive else None
    if archive is None or sample is None:
        return None
    extractor = Extractor(registry)
    values: dict[str, Counter[str | None]] = {d.name: Counter() for d in registry.keys}
    having: Counter[str] = Counter()
    names = list(registry.measures)
    pings = 0
    for submission in submissions(archive, sample):
        fact = _fact(extractor, submission, max_inflated_bytes)
        if isinstance(fact, Discard):
            continue
        pings += 1
        for name, value in zip(values, fact.key, strict=True):
            values[name][value] += 1
        having.update(names[index] for index, _ in fact.values)
    cost = estimate(
        archive, registry, dimensions, measures, today=today, max_inflated_bytes=max_inflated_bytes,
        max_pings=SURVEY_PINGS,
    )  # fmt: skip
    return Survey(
        day=sample.day,
        pings=pings,
        values={name: _examples(found) for name, found in values.items()},
        distinct={name: len(found) for name, found in values.items()},
        having=dict(having),
        estimate=cost,
    )


def documents_of(registry: Registry, name: str) -> frozenset[str]:
    """The kinds of pings that a measure or dimension is taken from."""
    measure = registry.measures.get(name)
    if measure is not None:
        return frozenset(d for source in measure.sources for d in source.documents)
    sources = registry.dimensions[name].sources
    return frozenset(d.name for d in registry.pings if d.name in sources or d.family in sources)


def _newest(archive: Snapshot | None, documents: frozenset[str], most: int) -> Iterator[Archived]:
    """Counted pings of these documents, the newest row groups first."""
    files = [f for f in archive.files if dict(f.partition)["doc_type"] in documents] if archive else []
    left = most
    for file in sorted(files, key=_age, reverse=True):
        groups = [(part, group) for part in parts(file) for group in part.groups]
        for part, group in reversed(groups):
            for one in reversed(list(read_part(msgspec.structs.replace(part, groups=(group,))))):
                if one.discarded is None:
                    yield one
                    left -= 1
                    if left == 0:
                        return


def _age(file: FileRef) -> tuple[str, float]:
    return dict(file.partition)["submission_date"], file.last_window.timestamp() if file.last_window else 0.0


def _fact(extractor: Extractor, submission: Submission, limit: int) -> Fact | Discard:
    try:
        body = archived_body(submission, limit)
        return body if isinstance(body, Discard) else extractor.extract(submission, body)
    except Exception:  # a fault of ours, which must not end the preview
        _logger.exception("extraction_failed", log_offset=submission.log_offset)
        return Discard("extraction_failed")


def _value(registry: Registry, fact: Fact, name: str) -> str | None:
    """What a ping has of it, as text; a number without trailing zeros."""
    if name in registry.dimensions:
        return fact.key[[d.name for d in registry.keys].index(name)]
    wanted = list(registry.measures).index(name)
    value = next((value for index, value in fact.values if index == wanted), None)
    return None if value is None else f"{value:.12g}"


def _examples(found: Counter[str | None]) -> tuple[Example, ...]:
    return tuple(Example(value, pings) for value, pings in found.most_common(MOST_EXAMPLES) if pings)


def _moment(received_ns: int | None) -> datetime | None:
    return None if received_ns is None else datetime.fromtimestamp(received_ns // 10**9, UTC)
