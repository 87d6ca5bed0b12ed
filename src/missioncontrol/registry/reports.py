"""From declarations to what is done with a crash report: its dimensions, and the measures that count it.

`compile_reports()` gives a `ReportPlan` over tuples of raw values, one for each of `ReportPlan.paths`. Few different
values make up most reports, so what they came to is kept. No I/O, no windows, no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from missioncontrol.registry import normalise
from missioncontrol.registry.compile import check_holds
from missioncontrol.registry.model import CRASH_REPORT, Application, Dimension, Measure, Registry

MAX_TEXT = 200
"""A longer value of a dimension is cut, as one of a ping would be refused."""
_MOST_KEPT = 100_000
_GENERAL = Application("default")
_APPLICATION = "product"

Values = tuple[Any, ...]


class ReportPlan:
    """All that is declared about crash reports."""

    def __init__(self, registry: Registry, further: Sequence[str] = ()) -> None:
        """`further` are paths whose values the caller wants too."""
        self.dimensions = [d for d in registry.keys if CRASH_REPORT in d.sources]
        self.measures = [m for m in registry.measures.values() if m.of_reports]
        read = [path for d in self.dimensions for path in d.sources[CRASH_REPORT]]
        asked = [check.path for m in self.measures for source in m.sources for check in source.where]
        self.paths = tuple(dict.fromkeys([_APPLICATION, *read, *asked, *further]))
        """What is read of a report: columns of the table `crashes`, or `fields.NAME`."""
        self._columns = [_Column(registry, d, self.paths) for d in self.dimensions]
        self._asked = tuple(dict.fromkeys(asked))
        self._asked_values = _getter(self.paths, self._asked)
        self._application = self.paths.index(_APPLICATION)
        self._counted: dict[Values, tuple[int, ...]] = {}

    def key(self, values: Values) -> tuple[str | None, ...]:
        """The value of each of `dimensions`, named and normalised as those of pings are."""
        product = values[self._application]
        return tuple([column.value(product, values) for column in self._columns])

    def counted(self, values: Values) -> tuple[int, ...]:
        """The places in `measures` of those that count the report."""
        raw = _with_types(self._asked_values(values))
        counted = self._counted.get(raw)
        if counted is None:
            asked = dict(zip(self._asked, self._asked_values(values), strict=True))
            counted = tuple(i for i, m in enumerate(self.measures) if _counts(m, asked))
            _keep(self._counted, raw, counted)
        return counted


class _Column:
    """One dimension of reports; keeps what raw values of an application came to."""

    def __init__(self, registry: Registry, dimension: Dimension, paths: Sequence[str]) -> None:
        document = registry.documents.get(CRASH_REPORT)
        self._applications = registry.applications
        self._renames = document.renames.get(dimension.name, {}) if document else {}
        self._normalise = dimension.normalise
        self._places = [paths.index(path) for path in dimension.sources[CRASH_REPORT]]
        self._kept: dict[Values, str | None] = {}

    def value(self, product: str | None, values: Values) -> str | None:
        """The value of a report; the first path with one counts."""
        raw = next((values[place] for place in self._places if values[place] is not None), None)
        if raw is None:
            return None
        pair = (product, raw)
        if pair in self._kept:
            return self._kept[pair]
        value = self._normalised(product, raw)
        _keep(self._kept, pair, value)
        return value

    def _normalised(self, product: str | None, raw: Any) -> str | None:
        application = self._applications.get(product or "") or self._applications.get("default", _GENERAL)
        if self._normalise == "boolean":
            return normalise.boolean(raw)
        text = normalise.SCALAR_RULES.get(self._normalise, normalise.text)(raw)
        if text is None:
            return None
        text = normalise.printable(self._renames.get(text, text)[:MAX_TEXT])
        rule = normalise.TEXT_RULES.get(self._normalise)
        return rule(text, application) if rule else text


def _counts(measure: Measure, asked: dict[str, Any]) -> bool:
    """Whether all conditions of one of its sources hold."""
    return any(all(check_holds(c, asked[c.path]) for c in source.where) for source in measure.sources)


def _with_types(values: Values) -> Values:
    """The values as a key of a dict, in which 1 and true are not the same."""
    return tuple((value, type(value)) if isinstance(value, bool) else value for value in values)


def _keep(kept: dict[Values, Any], key: Values, value: Any) -> None:
    if len(kept) < _MOST_KEPT:
        kept[key] = value


def _getter(paths: Sequence[str], wanted: Iterable[str]) -> Any:
    """A function from values by path to a tuple of those that are wanted."""
    places = [paths.index(path) for path in dict.fromkeys(wanted)]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[i] for i in places)
