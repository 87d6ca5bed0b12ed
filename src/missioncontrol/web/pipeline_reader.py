"""The state of the pipeline, put together from the log, the stream's status file and the tables.

Reads only, and keeps nothing. Counts cover the last hour and the last 24 hours of arrival. Files of other days are
never opened, and bodies are read only of the few submissions that are shown.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.config import Config
from missioncontrol.ingest import reasons
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query.relation import scan
from missioncontrol.query.statement import Statement
from missioncontrol.telemetry.discards import NOTES, REASONS
from missioncontrol.telemetry.status import StreamStatus, read_status
from missioncontrol.web.pipeline import (
    Accepted,
    Discard,
    Header,
    PipelineStatus,
    Sample,
    SampleBody,
    TableSize,
)

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef
    from missioncontrol.log.protocol import Log
    from missioncontrol.query.engine import Engine

SAMPLES_PER_REASON = 3
PREVIEW_CHARACTERS = 2000
_DAY = timedelta(hours=24)
_MANY = 10_000
_NAME = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
_EDGE = {f"edge_{r.code}": r.message for r in vars(reasons).values() if isinstance(r, reasons.Reason)}
_DUPLICATE = "duplicate"


class PipelineReader:
    """See `Pipeline` for what each method promises."""

    def __init__(self, config: Config, log: Log, engine: Engine) -> None:
        self._config = config
        self._log = log
        self._engine = engine

    def status(self) -> PipelineStatus:
        """The state now."""
        now = datetime.now(UTC)
        stream = read_status(self._config.data)
        last = self._log.last_offset()
        committed = min(stream.through, last) if stream else 0
        discards = self._discards(now)
        duplicates = next((d for d in discards if d.reason == _DUPLICATE), Discard(_DUPLICATE, 0, 0))
        return PipelineStatus(
            last_offset=last,
            committed_offset=committed,
            backlog_records=self._log.count_after(committed),
            log_size_bytes=self._log.size_bytes(),
            batches=stream.batches if stream else 0,
            lag_p50_s=stream.lag_p50_s if stream and stream.batches else None,
            lag_p99_s=stream.lag_p99_s if stream and stream.batches else None,
            last_commit=_last_commit(stream),
            stream_error=stream.error if stream else "",
            duplicates_last_hour=duplicates.last_hour,
            duplicates_last_day=duplicates.last_day,
            accepted=self._accepted(now),
            discards=tuple(d for d in discards if d is not duplicates),
            tables=self._tables(),
            samples=self._samples(now),
        )

    def sample(self, name: str) -> SampleBody | None:
        """The kept body of a discarded submission; None when there is none of that name."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        received_ns, log_offset = (int(part) for part in match.groups())
        rows = self._bodies([received_ns]) if received_ns < 2**63 else []
        for found_ns, offset, encoding, body in rows:
            if (found_ns, offset) == (received_ns, log_offset):
                return SampleBody(encoding or "", body)
        return None

    def _tables(self) -> tuple[TableSize, ...]:
        found = []
        for name in lake_tables(self._engine.registry()):
            snapshot = self._engine.reader.snapshot(name)
            if snapshot is not None:
                files = snapshot.files
                rows, size = sum(f.rows for f in files), sum(f.size_bytes for f in files)
                found.append(TableSize(name, rows, len(files), size, snapshot.version))
        return tuple(found)

    def _discards(self, now: datetime) -> tuple[Discard, ...]:
        source = self._source("discards", ("window_start", "reason", "count"), now - _DAY, now)
        sql = f"""SELECT reason, sum(count) FILTER (epoch_us(window_start) >= {_us(_hour_ago(now))}),
            sum(count), max(epoch_us(window_start)) FROM {source}
            WHERE epoch_us(window_start) >= {_us(now - _DAY)} GROUP BY reason ORDER BY 3 DESC, 1"""
        return tuple(
            Discard(reason, int(hour or 0), int(day or 0), _instant(newest), _explanation(reason))
            for reason, hour, day, newest in self._rows(sql)
        )

    def _accepted(self, now: datetime) -> tuple[Accepted, ...]:
        """From the archive, or without one from the sums, which know no document types."""
        if self._config.lake.archive:
            columns: tuple[str, ...] = ("window_start", "document_type", "discarded")
            source = self._source("pings", columns, now - _DAY, now)
            name, count, where = "document_type", "1", "discarded IS NULL"
        else:
            source = self._source("error_aggregates", ("window_start", "count"), now - _DAY, now)
            name, count, where = "'all'", "count", "true"
        sql = f"""SELECT {name}, sum({count}) FILTER (epoch_us(window_start) >= {_us(_hour_ago(now))}),
            sum({count}) FROM {source} WHERE {where} AND epoch_us(window_start) >= {_us(now - _DAY)}
            GROUP BY 1 ORDER BY 3 DESC, 1"""
        return tuple(Accepted(name or "", int(hour or 0), int(day or 0)) for name, hour, day in self._rows(sql))

    def _samples(self, now: datetime) -> tuple[Sample, ...]:
        columns = ("received_ns", "log_offset", "discarded", "namespace", "document_type", "document_version")
        columns += ("document_id", "application", "version", "channel", "build_id", "headers")
        source = self._source("pings", columns, now - _DAY, now)
        sql = f"""SELECT {", ".join(columns)} FROM {source} WHERE discarded IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY discarded ORDER BY received_ns DESC) <= {SAMPLES_PER_REASON}
            ORDER BY discarded, received_ns DESC LIMIT 60"""
        rows = self._rows(sql)
        bodies = {(ns, offset): (e, b) for ns, offset, e, b in self._bodies([row[0] for row in rows])}
        return tuple(_sample(row, *bodies.get((row[0], row[1]), ("", b""))) for row in rows)

    def _bodies(self, received_ns: Sequence[int]) -> list[tuple[Any, ...]]:
        """(received_ns, log_offset, encoding, body) of discarded submissions received at these instants."""
        if not received_ns:
            return []
        columns = ("received_ns", "log_offset", "encoding", "body", "discarded")
        first, last = (datetime.fromtimestamp(ns // 1_000_000_000, UTC) for ns in (min(received_ns), max(received_ns)))
        source = self._source("pings", columns, first, last + timedelta(seconds=1))
        wanted = ", ".join(str(int(ns)) for ns in received_ns)
        return self._rows(
            f"SELECT received_ns, log_offset, encoding, body FROM {source} "
            f"WHERE discarded IS NOT NULL AND received_ns IN ({wanted})"
        )

    def _source(self, table: str, columns: Sequence[str], first: datetime, last: datetime) -> str:
        """The rows of the files that reach into the span, as a relation."""
        snapshot = self._engine.reader.snapshot(table)
        files = [f for f in snapshot.files if _reaches(f, first, last)] if snapshot else []
        known = {c.name: c for c in lake_tables(self._engine.registry())[table].columns}
        return scan(files, [known[name] for name in columns])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._engine.run(Statement(sql, (), (), _MANY)) as rows:
            return [row for batch in rows.batches() for row in batch]


def _reaches(file: FileRef, first: datetime, last: datetime) -> bool:
    """A file's bounds are of its windows, which start up to 5 minutes before what they hold."""
    early = first - timedelta(minutes=5)
    return not (file.last_window and file.last_window < early) and not (
        file.first_window and file.first_window > last
    )


def _hour_ago(now: datetime) -> datetime:
    return now - timedelta(hours=1, minutes=5)


def _us(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000)


def _instant(us: int | None) -> datetime | None:
    return None if us is None else datetime.fromtimestamp(us / 1_000_000, UTC)


def _last_commit(stream: StreamStatus | None) -> datetime | None:
    if stream is None or not stream.batches:
        return None
    return datetime.fromtimestamp(stream.written_ns // 1_000_000_000, UTC)


def _explanation(reason: str) -> str:
    return REASONS.get(reason) or NOTES.get(reason) or _EDGE.get(reason, "")


def _sample(row: tuple[Any, ...], encoding: str | None, body: bytes | None) -> Sample:
    received_ns, log_offset, reason, namespace, document, version, identity, *rest, headers = row
    parts = [identity, document, *rest] if namespace == "telemetry" else [document, version, identity]
    return Sample(
        reason=reason,
        name=f"{received_ns}-{log_offset}",
        received=datetime.fromtimestamp(received_ns / 1e9, UTC),
        address="/submit/" + "/".join([namespace or "", *(part or "" for part in parts)]),
        headers=tuple(Header(name, value) for name, value in _headers(headers)),
        size_bytes=len(body or b""),
        preview=_preview(body or b"", encoding or ""),
    )


def _headers(text: str | None) -> list[tuple[str, str]]:
    return list(msgspec.json.decode(text, type=dict[str, str]).items()) if text else []


def _preview(body: bytes, encoding: str) -> str:
    """The first characters, unpacked as far as that goes: a broken body is why it is here."""
    packed = encoding or body[:2] == b"\x1f\x8b"
    if packed:
        try:
            body = zlib.decompressobj(wbits=47).decompress(body, PREVIEW_CHARACTERS * 4)
        except zlib.error:
            pass
    text = body[: PREVIEW_CHARACTERS * 4].decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text[:PREVIEW_CHARACTERS])
    return shown + (" …" if len(text) > PREVIEW_CHARACTERS else "")
