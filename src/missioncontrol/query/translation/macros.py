"""Functions that the translated queries need and DuckDB lacks, and settings that make its arithmetic that of the
dialects. Made before the fence closes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_COMMON = (
    "mc_regexp_extract(s, p, g) AS CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) END",
    "width_bucket(x, low, high, n) AS CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 "
    "ELSE 1 + CAST(floor((x - low) * CAST(n AS DOUBLE) / (high - low)) AS BIGINT) END",
)
_PRESTO = (
    "mc_split(s, d, n) AS CASE WHEN len(str_split(s, d)) <= n THEN str_split(s, d) ELSE "
    "list_concat(str_split(s, d)[1:n - 1], [array_to_string(str_split(s, d)[n:], d)]) END",
    "mc_slice(x, first, size) AS CASE WHEN first < 0 THEN "
    "list_slice(x, len(x) + first + 1, len(x) + first + size) ELSE list_slice(x, first, first + size - 1) END",
    r"mc_replacement(r) AS regexp_replace(replace(r, '\', '\\'), '\$(\d)', '\\\1', 'g')",
    "mc_split_part(s, d, n) AS str_split(s, d)[n]",
    "mc_greatest(l) AS list_transform([l], lambda v: CASE WHEN list_count(v) = len(v) THEN list_max(v) END)[1]",
    "mc_least(l) AS list_transform([l], lambda v: CASE WHEN list_count(v) = len(v) THEN list_min(v) END)[1]",
    "str_to_map(s, d, e) AS map_from_entries(list_transform(str_split(s, d), "
    "lambda p: {'key': str_split(p, e)[1], 'value': str_split(p, e)[2]}))",
    "e() AS exp(1.0)",
    "codepoint(x) AS unicode(x)",
    "nan() AS CAST('NaN' AS DOUBLE)",
    "infinity() AS CAST('Infinity' AS DOUBLE)",
    "array_union(a, b) AS list_distinct(list_concat(a, b))",
    "array_except(a, b) AS list_distinct(list_filter(a, lambda e: NOT list_contains(b, e)))",
    "to_iso8601(x) AS CASE WHEN typeof(x) = 'DATE' THEN CAST(CAST(x AS DATE) AS VARCHAR) ELSE "
    "strftime(CAST(x AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%g') || "
    "CASE WHEN typeof(x) = 'TIMESTAMP' THEN '' ELSE 'Z' END END",
)
_POSTGRES = (
    "mc_has_key(j, k) AS coalesce(list_contains(json_keys(j), k), false)",
    "mc_has_any(j, ks) AS coalesce(list_has_any(json_keys(j), ks), false)",
    "mc_has_all(j, ks) AS coalesce(list_has_all(json_keys(j), ks), false)",
    "jsonb_typeof(j) AS CASE json_type(j) WHEN 'VARCHAR' THEN 'string' WHEN 'OBJECT' THEN 'object' "
    "WHEN 'ARRAY' THEN 'array' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE 'number' END",
    "json_typeof(j) AS jsonb_typeof(j)",
    "jsonb_array_length(j) AS json_array_length(j)",
    "to_jsonb(x) AS to_json(x)",
    "regexp_split_to_array(s, p) AS str_split_regex(s, p)",
)
_BY_DIALECT = {"presto": _COMMON + _PRESTO, "postgres": _COMMON + _POSTGRES}


def install(connection: duckdb.DuckDBPyConnection, dialect: str) -> None:
    """Make a database calculate as the dialect's did."""
    # An integer divided by an integer is an integer. By zero is null, as the quotient of two sums of nothing.
    connection.execute("SET GLOBAL integer_division = true")
    connection.execute("SET GLOBAL error_on_division_by_zero = false")
    for macro in _BY_DIALECT[dialect]:
        connection.execute(f"CREATE MACRO {macro}")
