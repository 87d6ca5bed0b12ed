"""From declarations to the functions that are called on every ping.

`compile_document()` gives a `DocumentPlan`: a decoder for the declared paths, and small functions over the tuple of
values (the ping's leaves, then the parts of the submission) for what is required, accepted, grouped by and summed.
Nothing here does I/O, and nothing here knows windows or tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from missioncontrol.registry.decode import MAX_COUNT, WRONG, Decoder, Shape, Wrong, WrongCounts
from missioncontrol.registry.model import Check, Dimension, Document, Measure, MeasureSource, Registry
from missioncontrol.registry.normalise import TEXT_RULES
from missioncontrol.registry.paths import SUBMISSION_PARTS

Values = tuple[Any, ...]
Number = int | float
MeasureFunction = Callable[[Values], Number | Wrong | None]
_MAX_NUMBER = 2**53
"""Numbers above this are refused where they are not counts: they would not even be exact."""
_TIME_UNITS_S = {
    "nanosecond": 1e-9, "microsecond": 1e-6, "millisecond": 1e-3, "second": 1, "minute": 60, "hour": 3600,
    "day": 86400,
}  # fmt: skip


class CompiledCheck(msgspec.Struct, frozen=True):
    """A check of `accept`: `index` is its value's place, None for the age of the dimension build_id."""

    check: Check
    index: int | None

    def holds(self, value: Any) -> bool:
        """Whether a value other than an age passes."""
        return check_holds(self.check, value)


class DimensionPlan(msgspec.Struct, frozen=True):
    """Where a dimension's value is found; `normalise` is the rule's name, empty for values taken as they are."""

    dimension: Dimension
    indexes: tuple[int, ...]
    normalise: str


class Thresholds(msgspec.Struct, frozen=True):
    """All thresholds on one histogram: it is gone through once, since no measures are as many as these."""

    index: int
    """Place of the buckets."""
    limits: tuple[tuple[int, int], ...]
    """(index into Registry.measures, lower bound of the first bucket that counts), the lowest bound first."""
    absent: tuple[tuple[int, Number], ...]
    """What they are in a ping without the histogram."""
    none_above: tuple[tuple[int, Number], ...]
    """What they are when no bucket counts for any of them: so it is in most pings."""

    def counts(self, values: Values) -> Sequence[tuple[int, Number]] | Wrong:
        """The samples at or above each bound, as (index into Registry.measures, samples)."""
        buckets: dict[int, int] | Wrong | None = values[self.index]
        if buckets is None:
            return self.absent
        if isinstance(buckets, Wrong):
            return WRONG
        lowest = self.limits[0][1]
        above = [lower for lower in buckets if lower >= lowest]
        if not above:
            return self.none_above
        found: list[tuple[int, int]] = []
        for measure, limit in self.limits:
            if limit > lowest:
                above = [lower for lower in above if lower >= limit]
            samples = 0
            for lower in above:
                samples += buckets[lower]
            found.append((measure, samples))
        return found


class DocumentPlan(msgspec.Struct, frozen=True):
    """All that is done to a ping of one document type. Indexes point into leaves followed by SUBMISSION_PARTS."""

    document: Document
    decoder: Decoder
    required: tuple[tuple[str, tuple[int, ...]], ...]
    required_values: Callable[[Values], Values]
    """The first value of each entry of `required`, at once."""
    dimensions: tuple[DimensionPlan, ...]
    dimension_values: Callable[[Values], Values] | None
    """The raw values of all dimensions at once; None unless each has one place and its rule looks at text alone."""
    accept: tuple[CompiledCheck, ...]
    measures: tuple[tuple[int, MeasureFunction], ...]
    thresholds: tuple[Thresholds, ...]
    experiment_maps: tuple[int, ...]
    experiment_pairs: tuple[tuple[int, int], ...]
    activity_start: int | None
    client: int | None
    session: int | None


class _Places:
    """Hands out the place of a path: a leaf of the decoder, or a part of the submission (counted from the end)."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def of(self, path: str | tuple[str, ...], shape: Shape = Shape.SCALAR) -> int:
        if isinstance(path, str) and path.startswith("@"):
            return SUBMISSION_PARTS.index(path[1:]) - len(SUBMISSION_PARTS)
        return self.decoder.leaf(path, shape)


def compile_document(registry: Registry, document: Document) -> DocumentPlan:
    """The plan for one document type under the registry's dimensions and measures."""
    places = _Places(Decoder())
    required = tuple(_required(entry, places) for entry in document.required)
    dimensions = tuple(_dimension(d, document, places) for d in registry.keys)
    plan = DocumentPlan(
        document=document,
        decoder=places.decoder,
        required=required,
        required_values=_getter([indexes[0] for _, indexes in required]),
        dimensions=dimensions,
        dimension_values=_getter([d.indexes[0] for d in dimensions])
        if all(map(_is_text, dimensions))
        else None,
        accept=tuple(CompiledCheck(c, places.of(c.path) if c.path else None) for c in document.accept),
        measures=tuple(_measures(registry, document, places)),
        thresholds=tuple(_thresholds(registry, document, places)),
        experiment_maps=tuple(places.of(p, Shape.BRANCHES) for p in document.experiments.map),
        experiment_pairs=tuple(
            (places.of(f"{p}.id"), places.of(f"{p}.branch")) for p in document.experiments.single
        ),
        activity_start=places.of(document.activity.start) if document.activity else None,
        client=places.of(document.client) if document.client else None,
        session=places.of(document.session) if document.session else None,
    )
    places.decoder.compile()
    return plan


def _getter(indexes: Sequence[int]) -> Callable[[Values], Values]:
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda values: tuple(values[index] for index in indexes)


def _is_text(plan: DimensionPlan) -> bool:
    return len(plan.indexes) == 1 and (not plan.normalise or plan.normalise in TEXT_RULES)


def _required(entry: str | list[str], places: _Places) -> tuple[str, tuple[int, ...]]:
    paths = [entry] if isinstance(entry, str) else entry
    return " or ".join(paths), tuple(places.of(p, Shape.PRESENT) for p in paths)


def _dimension(dimension: Dimension, document: Document, places: _Places) -> DimensionPlan:
    paths = dimension.sources.get(document.name) or dimension.sources.get(document.family) or []
    shape = Shape.ANY if dimension.normalise == "quantum_ready" else Shape.SCALAR
    indexes = tuple(places.of(p, shape if i else Shape.SCALAR) for i, p in enumerate(paths))
    return DimensionPlan(dimension, indexes, _normalise(dimension, document))


def _normalise(dimension: Dimension, document: Document) -> str:
    if dimension.name in document.as_sent:
        return ""
    if dimension.normalise == "os" and not document.os_renames:
        return "os_not_renamed"
    return dimension.normalise


def _measures(registry: Registry, document: Document, places: _Places) -> list[tuple[int, MeasureFunction]]:
    return [
        (index, _source(source, measure, document, places))
        for index, measure, source in _sources(registry, document)
        if not _is_bare_threshold(source)
    ]


def _thresholds(registry: Registry, document: Document, places: _Places) -> list[Thresholds]:
    found: dict[int, list[tuple[int, MeasureSource]]] = {}
    for measure, _, source in _sources(registry, document):
        if _is_bare_threshold(source):
            index = places.of((*_histogram_keys(source, document), "values"), Shape.BUCKETS)
            found.setdefault(index, []).append((measure, source))
    return [_thresholds_of(index, sources) for index, sources in found.items()]


def _thresholds_of(index: int, sources: list[tuple[int, MeasureSource]]) -> Thresholds:
    limits = [(measure, source.at_least or 0) for measure, source in sources]
    absent = [(measure, source.absent) for measure, source in sources if source.absent is not None]
    none_above = [(measure, 0) for measure, _ in sources]
    return Thresholds(index, tuple(sorted(limits, key=itemgetter(1))), tuple(absent), tuple(none_above))


def _sources(registry: Registry, document: Document) -> Iterator[tuple[int, Measure, MeasureSource]]:
    for index, measure in enumerate(registry.measures.values()):
        for source in measure.sources:
            if document.name in source.documents:
                yield index, measure, source


def _is_bare_threshold(source: MeasureSource) -> bool:
    return source.at_least is not None and not source.where


def _source(source: MeasureSource, measure: Measure, document: Document, places: _Places) -> MeasureFunction:
    function = _VALUES[source.kind](source, measure, document, places)
    if not source.where:
        return function
    checks = [(places.of(c.path), c) for c in source.where]
    absent = source.absent

    def when(values: Values) -> Number | Wrong | None:
        for index, check in checks:
            if not check_holds(check, values[index]):
                return absent
        return function(values)

    return when


def _predicate(
    source: MeasureSource, measure: Measure, document: Document, places: _Places
) -> MeasureFunction:
    return lambda values: 1


def _buckets(source: MeasureSource, measure: Measure, document: Document, places: _Places) -> MeasureFunction:
    """Count of one bucket, of buckets from `at_least` on, or of all samples. Glean's labeled counters too."""
    keys = _histogram_keys(source, document)
    if source.metric_type == "labeled_counter":
        return _plain(places.of(keys if source.keyed_histogram else (*keys, source.key)), source, measure)
    index, absent = places.of((*keys, "values"), Shape.BUCKETS), source.absent
    bucket, at_least = source.bucket, source.at_least

    def count(values: Values) -> Number | Wrong | None:
        buckets: dict[int, int] | Wrong | None = values[index]
        if buckets is None:
            return absent
        if bucket is not None and isinstance(buckets, WrongCounts):
            return buckets.counts.get(bucket, absent)
        if isinstance(buckets, Wrong):
            return WRONG
        if bucket is not None:
            return buckets.get(bucket, absent)
        if at_least is None:
            return sum(buckets.values())
        return sum(n for lower, n in buckets.items() if lower >= at_least)

    return count


def _histogram_keys(source: MeasureSource, document: Document) -> tuple[str, ...]:
    name = source.histogram or source.keyed_histogram
    if document.family == "glean":
        keys: tuple[str, ...] = ("metrics", source.metric_type, name)
        return (*keys, source.key) if source.keyed_histogram else keys
    kind = "keyedHistograms" if source.keyed_histogram else "histograms"
    root = ("payload",) if source.process == "parent" else ("payload", "processes", source.process)
    return (*root, kind, name, source.key) if source.keyed_histogram else (*root, kind, name)


def _scalar(source: MeasureSource, measure: Measure, document: Document, places: _Places) -> MeasureFunction:
    keys: tuple[str, ...] = ("metrics", source.metric_type, source.scalar)
    if document.family == "glean":
        if source.metric_type == "timespan":
            return _timespan(places.of((*keys, "value")), places.of((*keys, "time_unit")), source, measure)
        return _plain(places.of((*keys, source.key) if source.key else keys), source, measure)
    kind = "keyedScalars" if source.key else "scalars"
    keys = ("payload", "processes", source.process, kind, source.scalar)
    return _plain(places.of((*keys, source.key) if source.key else keys), source, measure)


def _number(source: MeasureSource, measure: Measure, document: Document, places: _Places) -> MeasureFunction:
    return _plain(places.of(source.number), source, measure)


def _plain(index: int, source: MeasureSource, measure: Measure) -> MeasureFunction:
    convert, absent = _conversion(source, measure), source.absent

    def value(values: Values) -> Number | Wrong | None:
        found = values[index]
        return absent if found is None else convert(found)

    return value


def _timespan(index: int, unit_index: int, source: MeasureSource, measure: Measure) -> MeasureFunction:
    """A Glean timespan in seconds, whatever unit the client used."""
    convert, absent = _conversion(source, measure), source.absent

    def value(values: Values) -> Number | Wrong | None:
        found, unit = values[index], values[unit_index]
        if found is None:
            return absent
        factor = _TIME_UNITS_S.get(unit) if isinstance(unit, str) else None
        if factor is None or isinstance(found, bool) or not isinstance(found, int | float):
            return WRONG
        if not abs(found) <= _MAX_NUMBER * 1024:  # no float at all may be made of an int of 400 digits
            return WRONG
        return convert(found if factor == 1 else found * factor)

    return value


def _conversion(source: MeasureSource, measure: Measure) -> Callable[[Any], Number | Wrong]:
    clamp, scale, divide, whole = source.clamp, source.scale, source.divide, measure.column_type == "int64"
    most = MAX_COUNT if whole else _MAX_NUMBER

    def convert(value: Any) -> Number | Wrong:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return WRONG
        if isinstance(value, float) and not math.isfinite(value):
            return WRONG
        if clamp:
            value = min(max(value, clamp[0]), clamp[1])
        if not -most <= value <= most or (whole and value != int(value)):
            return WRONG
        return int(value) if whole else float(value * scale / divide)

    return convert


_VALUES: dict[str, Callable[[MeasureSource, Measure, Document, _Places], MeasureFunction]] = {
    "predicate": _predicate,
    "histogram": _buckets,
    "keyed_histogram": _buckets,
    "threshold": _buckets,
    "scalar": _scalar,
    "number": _number,
}


def check_holds(check: Check, value: Any) -> bool:
    """Whether a value (None: there is none) passes a check that is not about the age of a build."""
    if value is None:
        held = check.or_absent or check.absent
    elif check.absent:
        held = False
    elif check.digits:
        held = isinstance(value, str) and len(value) == check.digits and value.isascii() and value.isdigit()
    elif check.type == "integer":
        held = isinstance(value, int) and not isinstance(value, bool)
    elif check.one_of:
        held = any(_same(value, wanted) for wanted in check.one_of)
    else:
        held = _same(value, check.equals)
    return held is not check.negate


def _same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and value == wanted


@lru_cache(maxsize=65536)
def build_date(build_id: str) -> date | None:
    """The day in the first eight digits of a build id, None when they are no day."""
    digits = build_id[:8]
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def complete_months(start: date, end: date) -> int:
    """Complete calendar months from start to end, cut toward zero (negative when end comes first)."""
    days = (end.year - start.year) * 12 * 32 + (end.month - start.month) * 32 + end.day - start.day
    return int(days / 32)
