"""The table `verdicts`: what was said of a release at each look, kept as it was said.

Rows are appended, one commit a turn, and never changed. A turn says which one it follows, so that one that is repeated
after a kill, or made by two processes at once, adds nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from missioncontrol.health.model import Account, Forecast, Look, Subject, Where
from missioncontrol.lake.tables import VERDICTS
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.lake.writer import LakeWriter
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.statement import Parameter
    from missioncontrol.registry.model import Registry

logger = structlog.get_logger()

APP = "missioncontrol.verdicts"
"""Application id in the transactions of turns; the version counts them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ("application", "channel", "version", "measure")
_TEXTS = (*_KEY, "verdict", "slice", "forecast", "reasons", "baseline", "method")
_TIMES = ("as_of", "published_at", "since")
_NUMBERS = ("age_hours", "ratio", "low", "high", "evidence", "observed", "expected")
_READ = ", ".join([*_TEXTS, *(f"epoch_us({name})" for name in _TIMES), *_NUMBERS])
MOST_LOOKS = 10_000


class Record(msgspec.Struct, frozen=True):
    """A row: one look at a subject, by which method and baseline; `account` is not kept for every look."""

    subject: Subject
    published_at: datetime
    look: Look
    baseline: str
    method: str
    account: Account | None = None


class State(msgspec.Struct, frozen=True):
    """What is known of a subject: its newest record, and when the newest account was kept."""

    record: Record
    accounted_at: datetime | None


class Filter(msgspec.Struct, frozen=True):
    """Which subjects; None: any."""

    application: str | None = None
    channel: str | None = None
    version: str | None = None
    measure: str | None = None


class Records:
    """Reads the table; blocks. Every method raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def current(self, wanted: Filter = Filter(), since: datetime | None = None) -> list[Record]:
        """The newest look of each subject with its newest account, in the order of the subjects' names.

        since: only looks and accounts from then on; much less is read.
        """
        where, parameters = _where(wanted)
        if since is not None:
            where, parameters = f"{where} AND as_of >= ?", [*parameters, since]
        keys = ", ".join(_KEY)
        # Sums by group hold one account each; a window over all rows would hold all of them.
        newest = (
            f"SELECT {keys}, max(as_of) AS as_of, arg_max(account, as_of) AS kept "
            f"FROM {{relation}} WHERE {where} GROUP BY {keys}"
        )
        sql = f"SELECT {_READ}, kept FROM {{relation}} JOIN ({newest}) USING ({keys}, as_of) ORDER BY {keys}"
        return [_record(row) for row in self._engine.over(VERDICTS, sql, parameters, Span(first=since))]

    def states(self) -> list[State]:
        """Of each subject the newest look, without account, and when the newest account was kept."""
        newest = f"row_number() OVER (PARTITION BY {', '.join(_KEY)} ORDER BY as_of DESC) = 1"
        accounted = f"max(CASE WHEN account IS NOT NULL THEN as_of END) OVER (PARTITION BY {', '.join(_KEY)})"
        sql = (
            f"SELECT {_READ}, NULL, epoch_us(accounted_at) FROM "
            f"(SELECT *, {accounted} AS accounted_at FROM {{relation}} QUALIFY {newest})"
        )
        rows = self._engine.over(VERDICTS, sql)
        return [State(_record(row[:-1]), _moment(row[-1])) for row in rows]

    def history(
        self,
        subject: Subject,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = MOST_LOOKS,
    ) -> list[Look]:
        """The looks of a subject from `since` to `until`, oldest first; of more than `most` the newest."""
        where, parameters = _where(_only(subject))
        for condition, moment in (("as_of >= ?", since), ("as_of <= ?", until)):
            if moment is not None:
                where, parameters = f"{where} AND {condition}", [*parameters, moment]
        sql = f"SELECT {_READ}, NULL FROM {{relation}} WHERE {where} ORDER BY as_of DESC LIMIT {most}"
        rows = self._engine.over(VERDICTS, sql, parameters, Span(first=since, last=until))
        return [_record(row).look for row in reversed(rows)]

    def crossings(self, since: datetime) -> list[Record]:
        """The looks from `since` on at which worse was first given, with their accounts; not all were made then."""
        where = "verdict = 'worse' AND as_of = since AND as_of >= ?"
        sql = f"SELECT {_READ}, account FROM {{relation}} WHERE {where}"
        return [_record(row) for row in self._engine.over(VERDICTS, sql, [since], Span(first=since))]

    def known_at(self, subject: Subject, moment: datetime | None = None) -> Record | None:
        """The newest look that was made by then (None: of all), with the account that was newest by then."""
        where, parameters = _where(_only(subject))
        if moment is not None:
            where, parameters = f"{where} AND as_of <= ?", [*parameters, moment]
        sql = (
            f"WITH newest AS (SELECT max(as_of) AS newest FROM {{relation}} WHERE {where}), "
            f"late AS (SELECT * FROM {{relation}}, newest WHERE {where} AND as_of >= newest - INTERVAL 1 HOUR), "
            "held AS (SELECT *, arg_max(account, as_of) OVER () AS kept FROM late) "
            f"SELECT {_READ}, kept FROM held WHERE as_of = newest"
        )
        rows = self._engine.over(VERDICTS, sql, [*parameters, *parameters], Span(last=moment))
        return _record(rows[0]) if rows else None


def append(writer: LakeWriter, registry: Registry, records: Sequence[Record], after: int) -> bool:
    """Keep the looks of a turn, the one after turn `after`; False when another one has followed that already.

    Raises `StorageError` and `StorageFull`; then nothing was kept.
    """
    from missioncontrol.errors import StorageError

    writer.ensure(registry)
    if writer.committed(VERDICTS, APP) != after:
        return False
    try:
        return writer.append(VERDICTS, _rows(records), APP, after + 1, after=after)
    except StorageError as error:
        if error.code == "lake_conflict" and writer.committed(VERDICTS, APP) > after:
            return False
        raise


def turns(writer: LakeWriter, registry: Registry) -> int:
    """How many turns were kept so far; raises `StorageError` and `StorageFull`."""
    writer.ensure(registry)
    return writer.committed(VERDICTS, APP)


def _rows(records: Sequence[Record]) -> Any:
    import pyarrow as pa

    from missioncontrol.lake.parquet import ARROW_TYPES
    from missioncontrol.lake.tables import verdict_columns

    columns = verdict_columns()
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])
    return pa.Table.from_pylist([_row(record) for record in records], schema=schema)


def _row(record: Record) -> dict[str, Any]:
    """A row as Arrow takes it."""
    look = record.look
    return {
        **msgspec.structs.asdict(record.subject),
        **{name: getattr(look, name) for name in ("as_of", "verdict", "since", *_NUMBERS)},
        "submission_date": look.as_of.astimezone(UTC).date(),
        "published_at": record.published_at,
        "slice": _text(look.slice) if look.slice is not None else None,
        "forecast": _text(look.forecast) if look.forecast else None,
        "reasons": _text(look.reasons),
        "baseline": record.baseline,
        "method": record.method,
        "account": _text(record.account) if record.account is not None else None,
    }


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _record(row: tuple[Any, ...]) -> Record:
    names = [*_TEXTS, *_TIMES, *_NUMBERS, "account"]
    held = dict(zip(names, row, strict=True))
    as_of, published_at, since = (_moment(held[name]) for name in _TIMES)
    assert as_of is not None and published_at is not None
    look = Look(
        as_of=as_of,
        age_hours=held["age_hours"],
        verdict=held["verdict"],
        ratio=held["ratio"],
        low=held["low"],
        high=held["high"],
        evidence=held["evidence"],
        observed=held["observed"],
        expected=held["expected"],
        slice=msgspec.json.decode(held["slice"], type=Where) if held["slice"] else None,
        forecast=msgspec.json.decode(held["forecast"], type=dict[str, Forecast]) if held["forecast"] else {},
        reasons=msgspec.json.decode(held["reasons"] or "[]", type=list[str]),
        since=since,
    )
    subject = Subject(*(held[name] for name in _KEY))
    account = _account(held["account"], subject) if held["account"] else None
    return Record(subject, published_at, look, held["baseline"] or "", held["method"] or "", account)


def _account(text: str, subject: Subject) -> Account | None:
    """None where it cannot be read: it can be worked out anew, and one must not keep all others from their readers."""
    try:
        return msgspec.json.decode(text, type=Account)
    except msgspec.ValidationError as error:
        logger.warning("account_unreadable", subject=msgspec.structs.asdict(subject), message=str(error))
        return None


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _only(subject: Subject) -> Filter:
    return Filter(subject.application, subject.channel, subject.version, subject.measure)


def _where(wanted: Filter) -> tuple[str, list[Parameter]]:
    given = [(name, value) for name in _KEY if (value := getattr(wanted, name)) is not None]
    return " AND ".join(f"{name} = ?" for name, _ in given) or "true", [value for _, value in given]
