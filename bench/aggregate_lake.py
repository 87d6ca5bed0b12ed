"""A lake of error aggregates as a large installation has it after a month, straight from random numbers.

30 days of 5-minute windows; 2,300 rows a window of some 60,000 populations, the large ones in most windows and the
small ones now and then. Compacted to one file a day, with rollups, as the care of the lake leaves it.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from missioncontrol.config import load_config
from missioncontrol.lake.parquet import COMPACTED_LEVEL
from missioncontrol.services import Services
from workspace import SEED, WORK, Sizes, sizes_from

LAST_DAY = date(2025, 11, 12)
WINDOWS = 288
CHANNELS = {"release": 0.62, "beta": 0.2, "nightly": 0.12, "esr": 0.06}
SYSTEMS = {
    "Windows_NT": (0.75, ["10.0", "6.1", "6.3", "6.2"]),
    "Darwin": (0.15, ["19.6.0", "20.1.0", "18.7.0"]),
    "Linux": (0.1, ["5.4.0", "5.8.0", "4.19.0"]),
}
COUNTRIES = 60
POPULATIONS = 60_000
CRASHES = ("main_crashes", "content_crashes", "startup_crashes", "gpu_crashes", "plugin_crashes")


class Populations:
    """Combinations of dimension values, the likely ones first drawn."""

    def __init__(self, rng: np.random.Generator) -> None:
        channels = rng.choice(len(CHANNELS), POPULATIONS, p=list(CHANNELS.values()))
        systems = rng.choice(len(SYSTEMS), POPULATIONS, p=[share for share, _ in SYSTEMS.values()])
        major = 83 - np.minimum(rng.geometric(0.35, POPULATIONS) - 1, 11)
        minor = rng.integers(0, 3, POPULATIONS)
        build = rng.integers(0, 4, POPULATIONS)
        names = list(SYSTEMS)
        os_versions = [SYSTEMS[names[s]][1] for s in systems]
        picks = rng.integers(0, 100, POPULATIONS)
        self.columns: dict[str, np.ndarray] = {
            "channel": np.array(list(CHANNELS), object)[channels],
            "application": np.full(POPULATIONS, "Firefox", object),
            "version": np.array(
                [f"{a}.0.{b}" if b else f"{a}.0" for a, b in zip(major, minor, strict=True)], object
            ),
            "display_version": np.array([f"{a}.0b{b}" for a, b in zip(major, build, strict=True)], object),
            "build_id": np.array(
                [f"2025{a % 12 + 1:02d}{b + 3:02d}093000" for a, b in zip(major, build, strict=True)], object
            ),
            "os_name": np.array(names, object)[systems],
            "os_version": np.array([v[p % len(v)] for v, p in zip(os_versions, picks, strict=True)], object),
            "architecture": np.where(rng.random(POPULATIONS) < 0.85, "x86-64", "x86").astype(object),
            "country": np.array([f"{chr(65 + c // 26)}{chr(65 + c % 26)}" for c in range(COUNTRIES)], object)[
                np.minimum(rng.geometric(0.08, POPULATIONS) - 1, COUNTRIES - 1)
            ],
        }
        weights = 1 / np.arange(1, POPULATIONS + 1) ** 0.8
        self.cumulative = np.cumsum(weights / weights.sum())


def day_table(rng: np.random.Generator, populations: Populations, day: date, rows: int) -> pa.Table:
    """The rows of one day, in no order."""
    midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    windows = midnight_us + rng.integers(0, WINDOWS, rows) * 300_000_000
    which = np.searchsorted(populations.cumulative, rng.random(rows))
    columns: dict[str, pa.Array] = {
        "window_start": pa.array(windows, pa.timestamp("us", "UTC")),
        "submission_date": pa.array(np.full(rows, np.datetime64(day)), pa.date32()),
    }
    for name, values in populations.columns.items():
        words, codes = np.unique(values, return_inverse=True)
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(codes[which].astype(np.int32)), pa.array(words.tolist(), pa.string())
        ).cast(pa.string())
    pings = rng.geometric(0.2, rows)
    columns["count"] = columns["ping_count"] = pa.array(pings)
    columns["usage_hours"] = pa.array(usage_hours(rng, pings))
    for name in CRASHES:
        # A measure that nobody reported is null: most rows have no crash of a kind.
        columns[name] = pa.array(rng.geometric(0.7, rows), mask=rng.random(rows) > 0.12)
    return pa.table(columns)


def usage_hours(rng: np.random.Generator, pings: np.ndarray) -> np.ndarray:
    """Sums of session lengths in whole seconds, each rounded as the product does, so that they compress as its do."""
    seconds = np.minimum(rng.exponential(4300, int(pings.sum())).astype(np.int64), 90_000)
    return np.add.reduceat(np.round(seconds / 3600 * 2**40) / 2**40, np.r_[0, np.cumsum(pings)[:-1]])


def make(sizes: Sizes) -> Path:
    """The data folder of the lake, made at the first call."""
    data = WORK / f"lake-{sizes.aggregate_rows}-{sizes.aggregate_days}"
    stamp = data / "complete.json"
    if stamp.exists():
        return data
    shutil.rmtree(data, ignore_errors=True)
    services = Services(load_config(data, environ={}))
    services.writer.ensure(services.registry())
    rng = np.random.default_rng(SEED)
    populations = Populations(rng)
    for number in range(sizes.aggregate_days):
        day = LAST_DAY - timedelta(days=sizes.aggregate_days - 1 - number)
        table = day_table(rng, populations, day, sizes.aggregate_rows // sizes.aggregate_days)
        staged = services.writer.stage("error_aggregates", table, COMPACTED_LEVEL)
        services.writer.commit("error_aggregates", staged, "bench", number + 1)
    services.care().run_once()
    services.close()
    stamp.write_text(json.dumps({"last_day": LAST_DAY.isoformat()}))
    return data


if __name__ == "__main__":
    print(make(sizes_from(sys.argv)))
