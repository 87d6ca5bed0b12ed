"""Reading a lake's tables in tests, without the product's own query code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from obstore.store import from_url
from tests.support.form import config_of

from missioncontrol.lake.sketches import union

in_a_folder = pytest.mark.parametrize("place", ["folder"], indirect=True)
"""For what is only so where the lake is a folder."""


class LakeOnS3:
    """The lake of a bucket, as another client than the product reads it."""

    def __init__(self, url: str, settings: dict[str, str]) -> None:
        self.url, self.settings = url, settings

    def open(self, table: str) -> DeltaTable:
        """A table."""
        return DeltaTable(f"{self.url}/{table}", storage_options=self.settings)


Lake = Path | LakeOnS3


def lake_of(data: Path) -> Lake:
    """The lake of a data folder, wherever it lies."""
    config = config_of(data)
    if not config.lake.url:
        return config.lake_path
    names = ("aws_endpoint_url", "aws_access_key_id", "aws_secret_access_key", "aws_region", "aws_allow_http")
    return LakeOnS3(
        config.lake.url, {**{n: os.environ[n.upper()] for n in names}, "aws_conditional_put": "etag"}
    )


def read_lake_file(data: Path, path: str) -> bytes:
    """A file of the lake of a data folder, by its path below it."""
    lake = lake_of(data)
    if isinstance(lake, Path):
        return (lake / path).read_bytes()
    return bytes(obstore.get(from_url(lake.url), path).bytes())


def write_lake_file(data: Path, path: str, content: bytes) -> None:
    """Put this in the place of a file of the lake of a data folder."""
    lake = lake_of(data)
    if isinstance(lake, Path):
        (lake / path).write_bytes(content)
        return
    obstore.put(from_url(lake.url), path, content)
    (data / "lake" / path).unlink(missing_ok=True)  # the copy at hand


def rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    """All rows as they stand in the files."""
    opened = lake.open(table) if isinstance(lake, LakeOnS3) else DeltaTable(lake / table)
    return pa.table(opened.scan().read_all()).to_pylist()


def merged(lake: Lake, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of equal key added up: numbers are summed (null and 1 is 1), sketches united, all else is the key."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows(lake, table):
        lengths = {k: v for k, v in row.items() if k.endswith("_length_s")}
        numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and k not in lengths}
        sketches = {k: v for k, v in row.items() if isinstance(v, bytes)}
        nulls = [k for k, v in row.items() if v is None]
        left_out = {*numbers, *sketches, *nulls}
        key = tuple(sorted((k, v) for k, v in row.items() if k not in left_out))
        total = sums.setdefault(key, {})
        for name, value in numbers.items():
            total[name] = total[name] + value if name in total else value
        for name, value in sketches.items():
            total[name] = union([total.get(name), value])
    return sums


SUMMED = (
    "error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity", "discards", "notes",
)  # fmt: skip


DIFFERS = ("log_offset",)
"""Columns of `pings` that are left out: the place in the log, which a file counts otherwise than each partition of a
topic does.
"""


def everything(lake: Lake) -> dict[str, Any]:
    """All tables in a form that does not depend on how rows were cut into commits."""
    found: dict[str, Any] = {table: merged(lake, table) for table in SUMMED}
    pings = [{k: v for k, v in row.items() if k not in DIFFERS} for row in rows(lake, "pings")]
    found["pings"] = sorted(pings, key=lambda row: (row["document_id"], row["received_ns"], row["body"]))
    return found
