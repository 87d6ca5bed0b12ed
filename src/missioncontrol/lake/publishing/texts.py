"""Arrow columns in the forms that PostgreSQL takes: text without U+0000, maps as JSON objects, rows as CSV.

Pure functions; whole columns at a time, never a Python object a cell (a distinct text of a map, at most).
"""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

_NUL, _INSTEAD = "\x00", "\ufffd"
_OPTIONS = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
"""Text always stands in quotes, null never: that is how COPY tells an empty text from null."""


def without_nul(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, int]:
    """The texts with U+FFFD for U+0000, which PostgreSQL cannot hold; and how many of them had one."""
    found = pc.sum(pc.match_substring(texts, _NUL)).as_py() or 0
    return (pc.replace_substring(texts, _NUL, _INSTEAD) if found else texts), found


def table_without_nul(rows: pa.Table) -> tuple[pa.Table, int]:
    """The rows with U+FFFD for U+0000 in every text; and how many texts had one."""
    found = 0
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            texts, here = without_nul(rows.column(place))
            rows = rows.set_column(place, field, texts)
            found += here
    return rows, found


def json_objects(maps: pa.MapArray) -> tuple[pa.Array, int]:
    """Each map as the text of a JSON object, without keys whose value is null; and how many texts had a U+0000."""
    keys, of_keys = without_nul(maps.keys)
    values, of_values = without_nul(maps.items)
    kept = values.is_valid()
    members = pc.binary_join_element_wise(_json(keys), _json(values), ":").filter(kept)
    before = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(kept.cast(pa.int32()))])
    lists = pa.ListArray.from_arrays(before.take(maps.offsets), members)
    objects = pc.binary_join_element_wise("{", pc.binary_join(lists, ","), "}", "")
    return pc.if_else(maps.is_valid(), objects, pa.scalar(None, pa.string())), of_keys + of_values


def csv(rows: pa.Table) -> bytes:
    """The rows as `COPY ... (FORMAT csv)` takes them; doubles with all their digits, times as UTC."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(rows, sink, _OPTIONS)
    text: bytes = sink.getvalue().to_pybytes()
    return text


def _json(texts: pa.Array) -> pa.Array:
    """Each text as a JSON string; null stays null. Only distinct texts are looked at one by one."""
    distinct = texts.dictionary_encode()
    encoded = [msgspec.json.encode(text).decode() for text in distinct.dictionary.to_pylist()]
    return pa.array(encoded, pa.string()).take(distinct.indices)
