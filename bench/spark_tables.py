"""Whether the product and a peer computed the same sums by key."""

from __future__ import annotations

from pathlib import Path

import duckdb

KEYS = (
    "channel", "application", "version", "display_version", "build_id", "os_name", "os_version", "architecture",
    "country",
)  # fmt: skip


def differences(ours: Path, theirs: Path) -> list[str]:
    """A line for each measure whose sums differ for some key; empty when all are the same.

    `ours` is the folder of a lake's table just written (no file of it was replaced yet), `theirs` one of Parquet, with
    a column for each dimension and measure, or with maps `dimensions` and `stats`, in which what is absent is 0.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    peer = f"read_parquet('{theirs}/*.parquet')"
    own = f"read_parquet('{ours}/*/*.parquet', union_by_name = true)"
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {peer}").fetchall()]
    sum_of = 'sum("{0}") AS "{0}"'
    if "stats" in names:
        named = connection.execute(f"SELECT DISTINCT unnest(map_keys(stats)) FROM {peer}").fetchall()
        names = [row[0] for row in named if not row[0].endswith("_squared")]
        columns = [f"dimensions['{k}'] AS {k}" for k in KEYS] + [f"stats['{n}'] AS \"{n}\"" for n in names]
        peer = f"(SELECT window_start, {', '.join(columns)} FROM {peer})"
        sum_of = 'coalesce(sum("{0}"), 0) AS "{0}"'
    measures = [name for name in names if name not in (*KEYS, "window_start")]
    keys = ", ".join(KEYS)
    sums = ", ".join(sum_of.format(m) for m in measures)
    connection.execute(
        f"CREATE TABLE a AS SELECT epoch(window_start)::BIGINT AS window_start, {keys}, {sums} FROM {own} GROUP BY ALL"
    )
    connection.execute(f"CREATE TABLE b AS SELECT window_start, {keys}, {sums} FROM {peer} GROUP BY ALL")
    on = " AND ".join(f"a.{k} IS NOT DISTINCT FROM b.{k}" for k in ("window_start", *KEYS))
    found = []
    rows = connection.execute("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").fetchall()[0]
    joined = connection.execute(f"SELECT count(*) FROM a JOIN b ON {on}").fetchall()[0][0]
    if not rows[0] == rows[1] == joined:
        found.append(f"keys: {rows[0]} ours, {rows[1]} theirs, {joined} in both")
    for m in measures:
        same = f'abs(a."{m}" - b."{m}") < 1e-9' if m == "usage_hours" else f'a."{m}" = b."{m}"'
        differ = f'NOT coalesce({same}, a."{m}" IS NULL AND b."{m}" IS NULL)'
        count = connection.execute(f"SELECT count(*) FROM a JOIN b ON {on} WHERE {differ}").fetchall()[0][0]
        if count:
            found.append(f"{m}: {count} keys differ")
    return found
