"""The tables of the lake for other engines: what tells Trino or Spark SQL of them, and of the views that SQL here has.

Tables alone are not enough: a crash that was processed again has two rows in `crashes`, and queries for the
predecessor's tables ask for columns that only views have. Names and columns are those of SQL here: in Trino of the
dialect `presto`, in Spark of DuckDB's. Never runs anything and never writes a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from missioncontrol.config import LakePlace
from missioncontrol.errors import BadRequest
from missioncontrol.lake.place import uri
from missioncontrol.lake.tables import CRASH_STATS, REVISIONS, Column, lake_tables
from missioncontrol.lake.tables import CRASHES as PROCESSED
from missioncontrol.query import views
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import LakeReader

ENGINES = ("trino", "spark")
SCHEMA, TABLES = "views", "tables"
"""Trino's schemas: what queries ask, and the tables as they lie in the lake."""


def statements(
    reader: LakeReader, registry: Registry, place: LakePlace, engine: str, catalog: str = "lake"
) -> list[str]:
    """Statements without semicolons, in an order in which they can be run; tables that the lake lacks are left out.

    `catalog` is Trino's. Raises `BadRequest` (`lake_not_in_bucket`) for Trino where the lake is a folder, and
    `StorageError`.
    """
    found = ((name, reader.snapshot(name)) for name in lake_tables(registry))
    columns = {name: snapshot.columns for name, snapshot in found if snapshot is not None}
    written = _Trino(place, catalog) if engine == "trino" else _Spark(place)
    if not columns:
        return []
    return [*written.tables(columns), *(written.view(*made) for made in _views(columns, written))]


class _Spark:
    """Temporary views, which need no metastore; times are those of the session."""

    sqlglot = "spark"
    sketches = True

    def __init__(self, place: LakePlace) -> None:
        self._place = place

    def tables(self, names: Mapping[str, object]) -> Iterator[str]:
        yield from ()

    def table(self, name: str) -> str:
        location = uri(self._place, name)
        # Hadoop's name of S3.
        return f"delta.`{location.replace('s3://', 's3a://', 1)}`"

    def view(self, name: str, select: str) -> str:
        return f"CREATE OR REPLACE TEMPORARY VIEW {name} AS {select}"

    def day(self, column: str) -> str:
        return column


class _Trino:
    """Tables are registered in one schema, views of the same names are made in another one."""

    sqlglot = "trino"
    sketches = False

    def __init__(self, place: LakePlace, catalog: str) -> None:
        if not place.url:
            raise BadRequest(
                "lake_not_in_bucket",
                f"Trino is told of a lake in a bucket; this one is the folder {place.folder}.",
                "Set lake.url, or copy the folder into a bucket.",
            )
        self._place = place
        self._catalog = f'"{catalog.replace(chr(34), 2 * chr(34))}"'

    def tables(self, names: Mapping[str, object]) -> Iterator[str]:
        yield from (f"CREATE SCHEMA IF NOT EXISTS {self._catalog}.{s}" for s in (TABLES, SCHEMA))
        for name in names:
            given = ", ".join(f"'{text}'" for text in (TABLES, name, uri(self._place, name)))
            yield f"CALL {self._catalog}.system.register_table({given})"
        yield f"USE {self._catalog}.{SCHEMA}"

    def table(self, name: str) -> str:
        return f"{self._catalog}.{TABLES}.{name}"

    def view(self, name: str, select: str) -> str:
        return f"CREATE OR REPLACE VIEW {name} SECURITY INVOKER AS {select}"

    def day(self, column: str) -> str:
        return f"CAST({column} AS VARCHAR) AS {column}"


def _views(columns: Mapping[str, tuple[Column, ...]], engine: _Spark | _Trino) -> Iterator[tuple[str, str]]:
    """Name and SELECT of each."""
    for name, held in columns.items():
        # Each column by its name: engines keep those of a star, and then refuse the view when one is added.
        listed = ", ".join(_quoted(column.name, engine) for column in held)
        source = engine.table(name)
        if name == PROCESSED and REVISIONS in columns:
            source = views.counting_crashes(source, True).replace(
                f"FROM {REVISIONS}", f"FROM {engine.table(REVISIONS)}"
            )
        if name == views.CRASHES:
            listed = _with_stats(held, engine)
        yield name, f"SELECT {listed} FROM {source}"
    if views.CRASHES in columns:
        yield "aggregates", f"SELECT * FROM {views.CRASHES}"
    if views.CLIENTS in columns and engine.sketches:
        yield views.CRASH_FREE, _crash_free({column.name for column in columns[views.CLIENTS]})
    if all(source in columns for source in views.V2_SOURCES):
        yield views.V2, _v2(columns, engine)


def _quoted(name: str, engine: _Spark | _Trino) -> str:
    from sqlglot import exp

    return exp.to_identifier(name, quoted=True).sql(engine.sqlglot)


def _with_stats(held: tuple[Column, ...], engine: _Spark | _Trino) -> str:
    """The columns of crash_aggregates, and one for each statistic, which is null where the map lacks it."""
    own = (engine.day(c.name) if c.type == "date" else c.name for c in held)
    return ", ".join([*own, *(f"element_at(stats, '{stat}') AS {stat}" for stat in CRASH_STATS)])


def _crash_free(held: set[str]) -> str:
    """As the view of the same name here, in Spark's functions, which know no bounds and round to whole clients."""
    keys = ["submission_date", *(key for key in ("application", "channel", "version") if key in held)]
    some = "main_crashes_clients" if "main_crashes_clients" in held else "CAST(NULL AS BINARY)"
    counts = ", ".join(
        f"coalesce(hll_sketch_estimate(hll_union_agg({sketch})), 0) AS {name}"
        for sketch, name in (("clients", "active_clients"), (some, "affected_clients"))
    )
    listed = ", ".join(keys)
    return (
        f"SELECT *, greatest(0, 1 - affected_clients / nullif(active_clients, 0)) AS crash_free_users "
        f"FROM (SELECT {listed}, {counts} FROM {views.CLIENTS} GROUP BY {listed})"
    )


def _v2(columns: Mapping[str, tuple[Column, ...]], engine: _Spark | _Trino) -> str:
    import sqlglot

    text = views.v2(columns).replace(views.WINDOW_END, "window_start + INTERVAL 5 MINUTE")
    return sqlglot.transpile(text, read="duckdb", write=engine.sqlglot)[0]
