"""From the bytes of a ping to its `Fact`, or to the `Discard` that says why it is not counted.

Pure: no I/O, no clock. One bad ping never harms its neighbours, since every refusal is a value, not an exception.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from missioncontrol.registry import Application, Document, Registry, normalise
from missioncontrol.registry.compile import (
    CompiledCheck,
    DimensionPlan,
    DocumentPlan,
    build_date,
    compile_document,
    complete_months,
)
from missioncontrol.registry.decode import WRONG, NotJson, TooDeep, Wrong
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.fact import Fact, Number, grid
from missioncontrol.telemetry.submission import Submission, submission_day

MAX_TEXT = 200
"""Longest value of a dimension, in characters."""

_NO_BUILD_DATE = "1970-01-01"
"""What Glean sends as the build date of an application that was built without one."""
NO_CLIENT = "c0ffeec0-ffee-c0ff-eec0-ffeec0ffeec0"
"""The id that all clients have that were told not to send any."""
MAX_EXPERIMENTS = 100
"""Most experiments of one ping: each makes a row, and a body of 8 MB has room for hundreds of thousands."""

MAX_KEPT_KEYS = 50_000

_GENERAL = Application("default")


class _Refused(Exception):
    def __init__(self, discard: Discard) -> None:
        self.discard = discard


class _RegistryPlan(msgspec.Struct, frozen=True):
    """The plans of all documents by (namespace, type); Glean documents under the empty namespace."""

    documents: dict[tuple[str, str], DocumentPlan]
    names: list[str]
    float_measures: frozenset[int]
    usage_index: int | None
    build_id_position: int | None
    channel_position: int | None


class Extractor:
    """Extraction under one registry. Build a new one when the registry changes; it holds no other state."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        keys = [d.name for d in registry.keys]
        measures = list(registry.measures.values())
        self._plan = _RegistryPlan(
            {(d.namespace, d.type): compile_document(registry, d) for d in registry.pings},
            keys,
            frozenset(i for i, m in enumerate(measures) if m.column_type == "float64"),
            next((i for i, m in enumerate(measures) if m.name == "usage_hours"), None),
            keys.index("build_id") if "build_id" in keys else None,
            keys.index("channel") if "channel" in keys else None,
        )
        self._keys: dict[tuple[Any, ...], tuple[str | None, ...]] = {}
        self._namespaces = {n: a.name for a in registry.applications.values() for n in a.namespaces}

    def document(self, submission: Submission) -> Document | None:
        """The declared document that a submission is, if any."""
        plan = self._find(submission)
        return plan.document if plan else None

    def application(self, submission: Submission) -> str | None:
        """The application that a submission belongs to: named in a legacy address, else by the namespace."""
        if submission.namespace == "telemetry":
            return submission.application
        return self._namespaces.get(submission.namespace, submission.namespace)

    def extract(self, submission: Submission, body: bytes | memoryview) -> Fact | Discard:
        """The fact in an inflated body, or why there is none."""
        plan = self._find(submission)
        if plan is None:
            return Discard("document_type", f"{submission.namespace}/{submission.document_type}"[:MAX_TEXT])
        if any(name == "x-source-tags" and "automation" in value for name, value in submission.headers):
            return Discard("automation")
        try:
            return self._fact(plan, submission, body)
        except NotJson as error:
            return Discard("not_json", str(error)[:MAX_TEXT])
        except TooDeep:
            return Discard("nested_too_deeply")
        except _Refused as refused:
            return refused.discard

    def _find(self, submission: Submission) -> DocumentPlan | None:
        namespace = submission.namespace if submission.namespace == "telemetry" else ""
        return self._plan.documents.get((namespace, submission.document_type))

    def _fact(self, plan: DocumentPlan, submission: Submission, body: bytes | memoryview) -> Fact:
        name = self.application(submission)
        values = plan.decoder.values(body) + (
            name,
            submission.channel,
            submission.version,
            submission.build_id,
            submission.country,
            submission.submission_date,
        )
        application = self.registry.applications.get(name or "") or self.registry.applications.get(
            "default", _GENERAL
        )
        self._check_channel(plan, application, values)
        _check_required(plan, values)
        key = self._key(plan, values, application, submission)
        submitted = _submission_day(submission.submission_date)
        for check in plan.accept:
            self._check_accept(check, values, key, application, submitted)
        return self._counted(plan, name or "", key, values)

    def _key(
        self, plan: DocumentPlan, values: tuple[Any, ...], application: Application, submission: Submission
    ) -> tuple[str | None, ...]:
        """The dimensions of a ping. Few combinations make up most pings, so what they came to is kept."""
        if plan.dimension_values is None:
            return tuple(_dimension(d, values, application, submission) for d in plan.dimensions)
        raw = (plan.document.name, application.name, *plan.dimension_values(values))
        key = self._keys.get(raw)
        if key is None:
            key = tuple(_dimension(d, values, application, submission) for d in plan.dimensions)
            if len(self._keys) < MAX_KEPT_KEYS:
                self._keys[raw] = key  # only text and null get here, so that equal means the same
        return key

    def _check_channel(self, plan: DocumentPlan, application: Application, values: tuple[Any, ...]) -> None:
        position = self._plan.channel_position
        if position is None or not application.drop_channels:
            return
        raw = _first(plan.dimensions[position], values)
        if isinstance(raw, str) and normalise.channel(raw, application) in application.drop_channels:
            raise _Refused(Discard("channel_dropped", raw[:MAX_TEXT]))

    def _check_accept(
        self,
        compiled: CompiledCheck,
        values: tuple[Any, ...],
        key: tuple[str | None, ...],
        application: Application,
        submitted: datetime,
    ) -> None:
        check = compiled.check
        if check.build_age:
            position = self._plan.build_id_position
            build_id = None if position is None else key[position]
            source = build_id if compiled.index is None else _age_source(values[compiled.index], build_id)
            _check_build_age(source, check.or_absent, check.reason, application, submitted)
        elif compiled.index is not None and not compiled.holds(values[compiled.index]):
            raise _Refused(Discard(check.reason, f"{check.path} is {values[compiled.index]!r}"[:MAX_TEXT]))

    def _counted(
        self, plan: DocumentPlan, application: str, key: tuple[str | None, ...], values: tuple[Any, ...]
    ) -> Fact:
        found: list[tuple[int, Number]] = []
        notes: tuple[str, ...] = ()
        usage: float | None = None
        for index, function in plan.measures:
            value = function(values)
            if value is None:
                continue
            if isinstance(value, Wrong):
                notes = ("value_not_counted",)
                continue
            if index in self._plan.float_measures:
                value = grid(value)
            if index == self._plan.usage_index:
                usage = value
            found.append((index, value))
        for thresholds in plan.thresholds:
            counts = thresholds.counts(values)
            if isinstance(counts, Wrong):
                notes = ("value_not_counted",)
            else:
                found += counts
        experiments = _experiments(plan, values)
        if len(experiments) > MAX_EXPERIMENTS or any(values[i] is WRONG for i in plan.experiment_maps):
            notes = (*notes, "experiments_not_counted")
        client, session = _client(plan, values)
        start = values[plan.activity_start] if plan.activity_start is not None else None
        return Fact(
            plan.document.name,
            application,
            key,
            tuple(found),
            experiments[:MAX_EXPERIMENTS],
            usage,
            plan.activity_start is not None,
            _instant(start) if isinstance(start, str) else None,
            notes,
            client,
            session,
        )


def _client(plan: DocumentPlan, values: tuple[Any, ...]) -> tuple[str | None, str | None]:
    """The ids of client and session; a session is known only together with its client."""
    client = None if plan.client is None else values[plan.client]
    if not _is_id(client) or client == NO_CLIENT:
        return None, None
    session = None if plan.session is None else values[plan.session]
    return client, session if _is_id(session) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isascii()


def _check_required(plan: DocumentPlan, values: tuple[Any, ...]) -> None:
    found = plan.required_values(values)
    if None not in found and WRONG not in found:
        return
    for name, indexes in plan.required:
        for index in indexes:
            if values[index] is WRONG:
                raise _Refused(Discard("wrong_type", name[:MAX_TEXT]))
            if values[index] is not None:
                break
        else:
            raise _Refused(Discard("missing_field", name[:MAX_TEXT]))


def _first(plan: DimensionPlan, values: tuple[Any, ...]) -> Any:
    for index in plan.indexes:
        if values[index] is not None:
            return values[index]
    return None


def _dimension(
    plan: DimensionPlan, values: tuple[Any, ...], application: Application, submission: Submission
) -> str | None:
    if plan.normalise == "quantum_ready":
        e10s, addons, theme = (values[i] for i in plan.indexes) if plan.indexes else (None, None, None)
        return normalise.quantum_ready(e10s, addons, theme)
    raw = _first(plan, values)
    if plan.normalise == "activity_day":
        return _activity_day(raw, submission)
    if raw is None:
        return None
    if plan.normalise == "boolean":
        return normalise.boolean(raw)
    if plan.normalise == "profile_age":
        return normalise.profile_age(raw, submission.received_ns // 86_400_000_000_000)
    scalar_rule = normalise.SCALAR_RULES.get(plan.normalise)
    if scalar_rule is not None and raw is not WRONG:
        raw = scalar_rule(raw)
        if raw is None:
            return None
    if not isinstance(raw, str):
        raise _Refused(Discard("wrong_type", plan.dimension.name))
    if len(raw) > MAX_TEXT:
        raise _Refused(Discard("value_too_long", plan.dimension.name))
    text = raw if raw.isprintable() else normalise.printable(raw)
    rule = normalise.TEXT_RULES.get(plan.normalise)
    return rule(text, application) if rule else text


def _activity_day(raw: Any, submission: Submission) -> str:
    day = normalise.activity_day(raw, _submission_day(submission.submission_date).date())
    if day is None:
        raise _Refused(Discard("activity_date", repr(raw)[:MAX_TEXT]))
    return day


def _age_source(value: Any, build_id: str | None) -> Any:
    """The day of an ISO build date; for a client built without one its build id, if of the form YYYYMMDDhhmmss.

    Firefox for desktop is such a client in its Glean pings. Shorter build ids are counters that may look like dates.
    """
    if isinstance(value, str) and not value.startswith(_NO_BUILD_DATE):
        return value[:10].replace("-", "")
    if value is not None and not isinstance(value, str):
        return value
    return build_id if build_id and len(build_id) == len("YYYYMMDDhhmmss") and build_date(build_id) else None


def _check_build_age(
    value: Any, or_absent: bool, reason: str, application: Application, submitted: datetime
) -> None:
    limit = application.build_age_months
    if limit is None or (value is None and or_absent):
        return
    if value is None:
        raise _Refused(Discard("build_id_missing"))
    built = build_date(value) if isinstance(value, str) else None
    if built is None or not 0 <= complete_months(built, submitted.date()) <= limit:
        raise _Refused(Discard(reason, str(value)[:MAX_TEXT]))


def _submission_day(text: str | None) -> datetime:
    day = submission_day(text)
    if day is None:
        raise _Refused(Discard("submission_date", repr(text)[:MAX_TEXT]))
    return day


def _experiments(plan: DocumentPlan, values: tuple[Any, ...]) -> tuple[tuple[str, str | None], ...]:
    """The distinct (id, branch) pairs of a ping; entries that are no text are passed over."""
    pairs: dict[tuple[str, str | None], None] = {}
    for index in plan.experiment_maps:
        branches = values[index]
        if branches is not None and branches is not WRONG:
            for experiment, entry in branches.items():
                _add_pair(pairs, experiment, entry.branch)
    for id_index, branch_index in plan.experiment_pairs:
        if isinstance(values[id_index], str):
            _add_pair(pairs, values[id_index], values[branch_index])
    return tuple(pairs)


def _add_pair(pairs: dict[tuple[str, str | None], None], experiment: str, branch: Any) -> None:
    if not experiment or len(experiment) > MAX_TEXT:
        return
    text = branch if isinstance(branch, str) and len(branch) <= MAX_TEXT else None
    pairs[normalise.printable(experiment), normalise.printable(text) if text is not None else None] = None


@lru_cache(maxsize=16384)
def _instant(text: str) -> float | None:
    """Seconds since the epoch of an ISO 8601 text; without a zone it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
