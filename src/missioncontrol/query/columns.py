"""Columns of Arrow -> lists of Python values, as answers of aggregate queries show them.

Much faster than the rows of a cursor, since values that come again (times, versions) are made once. Times become
ISO 8601 text with Z, dates YYYY-MM-DD. Knows only the types that the lake's aggregate tables have.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def values_of(column: pa.Array) -> list[Any]:
    """The values of a column; null is None."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type) or pa.types.is_string(column.type):
        return _looked_up(column.dictionary_encode())
    return _numbers(column)


def _looked_up(column: pa.DictionaryArray) -> list[Any]:
    texts = _texts(column.dictionary)
    if column.null_count:
        return [None if i is None else texts[i] for i in column.indices.to_pylist()]
    return [texts[i] for i in _numbers(column.indices)]


def _texts(values: pa.Array) -> list[str]:
    if pa.types.is_timestamp(values.type):
        # Seconds without a zone (all of it is UTC): the format would show fractions, and ask for the zone's rules.
        seconds = values.cast(pa.timestamp("us")).cast(pa.timestamp("s"), safe=False)
        values = pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
    elif pa.types.is_date(values.type):
        values = pc.strftime(values, format="%Y-%m-%d")
    texts: list[str] = values.to_pylist()
    return texts


def _numbers(column: pa.Array) -> list[Any]:
    if pa.types.is_decimal(column.type):  # a sum of integers: 128 bits have no other type
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid:
            return [None if value is None else int(value) for value in column.to_pylist()]
    numbers: list[Any] = (
        column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist()
    )
    return numbers
