"""The tables that SQL by users sees, as text of view definitions over the lake's snapshots.

One view for each table of the lake, and those of the predecessors: `error_aggregates_v2`; `crash_aggregates` with a
column for each statistic beside the maps, also called `aggregates`. A declared table that the lake does not have
yet is an empty view with its columns. `crash_free_users` shows what client_aggregates is for. Never runs anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.lake.tables import CRASH_STATS, REVISIONS, Column, LakeTable, lake_tables
from missioncontrol.query import dialect
from missioncontrol.query.crash_rows import NEWEST
from missioncontrol.query.relation import view
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import LakeReader

CRASHES = "crash_aggregates"
_COLUMNS_OF_DIALECT = {
    "duckdb": "*",
    "presto": "* REPLACE (CAST(activity_date AS VARCHAR) AS activity_date, "
    "CAST(submission_date AS VARCHAR) AS submission_date)",
    "postgres": "* REPLACE (to_json(dimensions) AS dimensions, to_json(stats) AS stats)",
}
"""Columns of crash_aggregates as each predecessor's database had them."""
CLIENTS = "client_aggregates"
CRASH_FREE = "crash_free_users"
V2 = "error_aggregates_v2"
V2_DIMENSIONS = (
    "channel", "version", "display_version", "build_id", "application", "os_name", "os_version", "architecture",
    "country", "experiment_id", "experiment_branch",
)  # fmt: skip
V2_MEASURES = (
    "count", "usage_hours", "main_crashes", "startup_crashes", "content_crashes", "content_shutdown_crashes",
    "gpu_crashes", "plugin_crashes", "gmplugin_crashes", "browser_shim_usage_blocked", "permissions_sql_corrupted",
    "defective_permissions_sql_removed", "slow_script_notice_count", "slow_script_page_count",
)  # fmt: skip
_V2_EXPERIMENT_DIMENSIONS = frozenset(
    {"channel", "version", "os_name", "country", "experiment_id", "experiment_branch"}
)
V2_SOURCES = ("error_aggregates", "experiment_aggregates")
WINDOW_END = "make_timestamptz(epoch_us(window_start) + 300000000)"


_WORD = re.compile(r"\w+")


class View(msgspec.Struct, frozen=True):
    """A named relation."""

    name: str
    sql: str
    """A CREATE VIEW statement."""
    files: tuple[str, ...]
    """The Parquet files it reads."""
    uses: tuple[str, ...] = ()
    """Views that must exist before."""
    protected: tuple[str, ...] = ()
    """Its protected columns, whether it has them or withholds them."""


def views(
    reader: LakeReader,
    registry: Registry,
    sql_dialect: str = "duckdb",
    with_protected: bool = True,
    query: str | None = None,
) -> list[View]:
    """Every view, in an order in which they can be created; with the types that queries of the dialect expect.

    Without `with_protected` the protected columns do not exist: neither in answers nor in filters. Given the `query`,
    views of tables on S3 that it does not name have no rows: their files need not be fetched.
    """
    named = _named(query) if query is not None else None
    made: list[View] = []
    columns: dict[str, tuple[Column, ...]] = {}
    for name, table in lake_tables(registry).items():
        snapshot = reader.snapshot(name)
        held = snapshot.columns if snapshot else ()
        names = {c.name for c in held}
        every = (*held, *(c for c in table.columns if c.name not in names))
        protected = protected_columns(table, every)
        columns[name] = every if with_protected else tuple(c for c in every if c.name not in protected)
        files = snapshot.files if snapshot else ()
        if named is not None and name not in named and files and files[0].place is not None:
            files = ()
        select = _with_stats(sql_dialect) if name == CRASHES else "*"
        source = view(files, columns[name])
        uses: tuple[str, ...] = ()
        if name == "crashes":
            revised = any(v.name == REVISIONS and v.files for v in made)
            source, uses = counting_crashes(source, revised), (REVISIONS,)
        sql = f"CREATE VIEW {dialect.name(name)} AS SELECT {select} FROM {source}"
        made.append(View(name, sql, tuple(f.path for f in files), uses, protected))
    made.append(View("aggregates", f"CREATE VIEW aggregates AS SELECT * FROM {CRASHES}", (), (CRASHES,)))
    kept = {c.name for c in columns[CLIENTS]}
    made.append(View(CRASH_FREE, f"CREATE VIEW {CRASH_FREE} AS {_crash_free(kept)}", (), (CLIENTS,)))
    made.append(View(V2, f"CREATE VIEW {V2} AS {v2(columns)}", (), V2_SOURCES))
    return made


def _named(query: str) -> frozenset[str]:
    """Names in the query, and the tables behind those that are views: more than it reads, never fewer."""
    words = set(_WORD.findall(query.lower()))
    behind = {"aggregates": (CRASHES,), CRASH_FREE: (CLIENTS,), V2: V2_SOURCES, "crashes": (REVISIONS,)}
    return frozenset(words.union(*(tables for view, tables in behind.items() if view in words)))


def counting_crashes(crashes: str, revised: bool) -> str:
    """The rows of crashes that count: the newest of one that was processed again, none of one that was deleted.

    Where some were (`revised`), a relation named `crash_revisions` must be at hand.
    """
    if not revised:
        return f"(SELECT * FROM {crashes} WHERE revision = 0)"
    revisions = f"SELECT uuid, {NEWEST} AS newest FROM {REVISIONS} GROUP BY uuid"
    return (
        f"(SELECT c.* FROM {crashes} AS c LEFT JOIN ({revisions}) AS r ON c.uuid = r.uuid "
        "WHERE c.revision = coalesce(r.newest, 0))"
    )


def protected_columns(table: LakeTable, held: Iterable[Column]) -> tuple[str, ...]:
    """Which of the columns that a table holds are protected: those declared so, and in a table that has such
    columns also those that nobody declares (any more).
    """
    declared = {c.name: c.protected for c in table.columns}
    sensitive = any(declared.values())
    return tuple(c.name for c in held if declared.get(c.name, sensitive))


def _with_stats(sql_dialect: str) -> str:
    """The columns of crash_aggregates, and one for each statistic."""
    stats = (f"stats['{stat}'] AS {stat}" for stat in CRASH_STATS)
    return ", ".join([_COLUMNS_OF_DIALECT[sql_dialect], *stats])


def _crash_free(kept: Collection[str]) -> str:
    """Clients without a main crash, by day, application, channel and version."""
    keys = ["submission_date", *(d for d in ("application", "channel", "version") if d in kept)]
    some = "main_crashes_clients" if "main_crashes_clients" in kept else dialect.null("sketch")
    shown = [
        "distinct_count(clients) AS active_clients",
        f"distinct_count({some}) AS affected_clients",
        *(
            f"crash_free{bound}(clients, {some}) AS crash_free_users{bound}"
            for bound in ("", "_low", "_high")
        ),
    ]
    return f"SELECT {', '.join([*keys, *shown])} FROM {CLIENTS} GROUP BY {_positions(keys)}"


def v2(columns: Mapping[str, Sequence[Column]]) -> str:
    """Both tables of sums in the predecessor's shape, given the columns that the lake holds."""
    population = {c.name for c in columns["error_aggregates"]}
    experiments = {c.name for c in columns["experiment_aggregates"]} & _V2_EXPERIMENT_DIMENSIONS
    measures = {name: {c.name: c.type for c in columns[name]} for name in V2_SOURCES}
    return " UNION ALL ".join(
        _v2_branch(source, kept, measures[source])
        for source, kept in (("error_aggregates", population), ("experiment_aggregates", experiments))
    )


def _v2_branch(source: str, dimensions: Iterable[str], held: Mapping[str, str]) -> str:
    """One row a key, whatever partial rows the lake holds; null where the source keeps no such dimension."""
    kept = [d for d in V2_DIMENSIONS if d in set(dimensions)]
    keys = ["window_start", "submission_date", *(dialect.name(d) for d in kept)]
    where = f"{_APPLICATIONS} AND {_OF_PINGS}" if {"count", _REPORTS} <= held.keys() else _APPLICATIONS
    inner = (
        f"SELECT {', '.join([*keys, *_sums(held)])} FROM {source} WHERE {where} GROUP BY {_positions(keys)}"
    )
    select = [
        "window_start",
        f"{WINDOW_END} AS window_end",
        # Not strftime(): a function that can fail keeps filters from reaching the files.
        "replace(CAST(submission_date AS VARCHAR), '-', '') AS submission_date_s3",
        *(dialect.name(d) if d in kept else f"{dialect.null('string')} AS {d}" for d in V2_DIMENSIONS),
        *V2_MEASURES,
    ]
    return f"SELECT {', '.join(select)} FROM ({inner})"


_APPLICATIONS = "application IN ('Firefox', 'Fennec')"
_REPORTS = "crash_reports"
_OF_PINGS = f'("count" IS NOT NULL OR {_REPORTS} IS NULL)'
"""The predecessor had no crash reports; keys that only they have would be rows without a number."""


def _sums(held: Mapping[str, str]) -> list[str]:
    sums = []
    for measure in V2_MEASURES:
        kind = held.get(measure) or ("float64" if measure == "usage_hours" else "int64")
        total = f"sum({dialect.name(measure)})" if measure in held else "NULL"
        sums.append(f"CAST({total} AS {dialect.SQL_TYPES[kind]}) AS {measure}")
    return sums


def _positions(keys: Sequence[str]) -> str:
    return ", ".join(str(i + 1) for i in range(len(keys)))
