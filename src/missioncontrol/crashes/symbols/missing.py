"""Modules that crashes met without symbols that could be used, and what would mend each: pure functions of rows.

Knows a module by its file name, version and ids, as processed crashes list it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from missioncontrol.crashes.symbols.advice import Lacking, Owner, mending, owner_of
from missioncontrol.crashes.symbols.names import UNUSABLE
from missioncontrol.crashes.symbols.store import StoredSymbols
from missioncontrol.errors import BadRequest

QUERY = """
SELECT module, any_value(os_name) AS os_name, count(*) AS crashes, sum(weight) AS weighted_crashes,
       count(DISTINCT signature) AS signatures, max(date) AS last_seen, min(processed) AS first_processed
FROM (SELECT unnest(string_split(concat_ws(';', missing_symbols, unusable_symbols), ';')) AS module, os_name, signature,
             date, coalesce(completed_datetime, date) AS processed,
             1 / coalesce(nullif(throttle_rate, 0), 1) AS weight
      FROM crashes WHERE date >= TIMESTAMP '{since}'
                     AND (missing_symbols IS NOT NULL OR unusable_symbols IS NOT NULL))
GROUP BY module ORDER BY weighted_crashes DESC, module LIMIT {limit}
"""
"""SQL over the lake; `since` is a time as text, UTC."""

_CRASHES_QUERY = """
SELECT uuid FROM crashes
WHERE contains(missing_symbols, '/{debug_id}') OR contains(unusable_symbols, '/{debug_id}')
ORDER BY uuid
"""
_DEBUG_ID = re.compile(r"[0-9A-Fa-f]{33,40}")


class MissingRow(msgspec.Struct, frozen=True):
    """A row of `QUERY`."""

    module: str
    """`[status:]file/version/debug id[/code id]`; the status is one of `UNUSABLE`."""
    os_name: str | None
    crashes: int
    weighted_crashes: float
    signatures: int
    last_seen: str | None = None
    first_processed: str | None = None


class MissingModule(msgspec.Struct, frozen=True):
    """A module without symbols that could be used."""

    filename: str
    version: str
    debug_id: str
    code_id: str
    os_name: str
    crashes: int
    """Processed crashes whose stacks met it so."""
    weighted_crashes: float
    """The same, where sampled reports count for those that were left out."""
    signatures: int
    last_seen: str
    owner: Owner
    """Whose it seems to be."""
    status: str
    """`missing`, or why the symbols that were there could not be used: one of `UNUSABLE`."""
    arrived: bool
    """Symbols that can be used are there by now: those crashes have to be processed again."""
    command: str
    """The command that mends it; empty when there is none."""
    hint: str


def missing_modules(
    rows: Iterable[MissingRow], stored: Mapping[str, StoredSymbols], memory_limit_mb: int
) -> list[MissingModule]:
    """The modules, in the order of the rows. `stored`: by debug id, the symbols that there are now."""
    return [_module(row, stored, memory_limit_mb) for row in rows if row.module.count("/") >= 2]


def debug_ids_of(rows: Iterable[MissingRow]) -> set[str]:
    """The debug ids of all rows."""
    return {row.module.split("/")[2] for row in rows if row.module.count("/") >= 2}


def crashes_query(debug_id: str) -> str:
    """SQL for the ids of all crashes whose walk did not have the symbols of this build.

    Raises `BadRequest` (`symbols_bad_id`).
    """
    if _DEBUG_ID.fullmatch(debug_id) is None:
        raise BadRequest(
            "symbols_bad_id",
            f"{debug_id[:80]!r} is no debug id.",
            "`missioncontrol symbols missing` shows debug ids.",
        )
    return _CRASHES_QUERY.format(debug_id=debug_id[:32].upper() + debug_id[32:].lower())


def _module(row: MissingRow, stored: Mapping[str, StoredSymbols], memory_limit_mb: int) -> MissingModule:
    # The text came out of somebody's dump, and goes to terminals and into commands.
    module = "".join(c if c.isprintable() else "?" for c in row.module)
    status, colon, rest = module.partition(":")
    if not colon or status not in UNUSABLE:
        status, rest = "missing", module
    filename, version, debug_id, *more = rest.split("/")
    code_id, os_name = more[0] if more else "", row.os_name or ""
    processed_at = _moment(row.first_processed)
    lacking = Lacking(filename, debug_id, os_name, code_id, status=status, processed_at=processed_at)
    mends = mending(lacking, stored.get(debug_id), memory_limit_mb)
    return MissingModule(
        filename, "" if version == "None" or not version.strip("0.") else version, debug_id, code_id, os_name,
        row.crashes, round(row.weighted_crashes, 1), row.signatures, row.last_seen or "",
        owner_of(filename, os_name), status, mends.arrived, mends.command, mends.hint,
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
