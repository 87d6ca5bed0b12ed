"""Functions of SQL over HLL sketches: how many distinct clients there are in rows of client_aggregates.

    SELECT version, distinct_count(clients), crash_free(clients, main_crashes_clients)
    FROM client_aggregates GROUP BY version

All of them are aggregates. Bounds are those of the sketches at two standard errors (95.4 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from missioncontrol.lake.sketches import Estimate

Sketches = list[bytes | None] | None

_MACROS = (
    "merge_sketches(sketch) AS mc_union(list(sketch))",
    "distinct_count(sketch) AS mc_count(list(sketch), 0)",
    "distinct_count_low(sketch) AS mc_count(list(sketch), -1)",
    "distinct_count_high(sketch) AS mc_count(list(sketch), 1)",
    "crash_free(everyone, affected) AS mc_without(list(everyone), list(affected), 0)",
    "crash_free_low(everyone, affected) AS mc_without(list(everyone), list(affected), -1)",
    "crash_free_high(everyone, affected) AS mc_without(list(everyone), list(affected), 1)",
)
NAMES = tuple(macro.partition("(")[0] for macro in _MACROS)


def needed(query: str) -> bool:
    """Whether the text of a query may use these functions; they cost a library."""
    lowered = query.lower()
    return any(name in lowered for name in (*NAMES, "crash_free_users", "information_schema"))


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a database."""
    from missioncontrol.lake.sketches import estimate, union, without

    def count(sketches: Sketches, bound: int) -> float:
        return _bound(estimate(sketches or ()), bound)

    def share(everyone: Sketches, affected: Sketches, bound: int) -> float | None:
        found = without(everyone or (), affected or ())
        return None if found is None else _bound(found, bound)

    def merge(sketches: Sketches) -> bytes | None:
        return union(sketches or ())

    add: Any = connection.create_function
    add("mc_count", count, ["BLOB[]", "INTEGER"], "DOUBLE", null_handling="special")
    add("mc_without", share, ["BLOB[]", "BLOB[]", "INTEGER"], "DOUBLE", null_handling="special")
    add("mc_union", merge, ["BLOB[]"], "BLOB", null_handling="special")
    for macro in _MACROS:
        connection.execute(f"CREATE MACRO {macro}")


def _bound(found: Estimate, bound: int) -> float:
    return (found.low, found.value, found.high)[bound + 1]
