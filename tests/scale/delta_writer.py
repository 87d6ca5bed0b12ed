"""Appends to a Delta table: `delta_writer.py TABLE STORAGE_OPTIONS FIRST COUNT`, a commit for each number."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
from deltalake import write_deltalake

if __name__ == "__main__":
    table, options, first, count = sys.argv[1:5]
    for number in range(int(first), int(first) + int(count)):
        rows = pa.table({"writer": [int(first)], "number": [number]})
        write_deltalake(table, rows, mode="append", storage_options=json.loads(options))
