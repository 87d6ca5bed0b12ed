"""A lake of processed crashes as a busy installation has it after ten days, straight from random numbers.

A few thousand signatures, the frequent ones first; four products; fields as processed crashes of Firefox have them,
and one of the user's own declaration. The last day comes as many small commits, as the workers leave them.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.config import load_config
from missioncontrol.lake.parquet import COMPACTED_LEVEL
from missioncontrol.services import Services
from workspace import SEED, WORK, Sizes, sizes_from

LAST_DAY = date(2025, 11, 12)
DAYS = 10
SMALL_COMMITS = 40
SIGNATURES = 6_000
PRODUCTS = {"Firefox": 0.7, "Fenix": 0.2, "Thunderbird": 0.06, "Notes": 0.04}
CHANNELS = {"release": 0.55, "beta": 0.2, "nightly": 0.17, "esr": 0.08}
SYSTEMS = {"Windows NT": 0.7, "Android": 0.15, "Linux": 0.08, "Mac OS X": 0.07}
WORDS = (
    "mozilla",
    "js",
    "gfx",
    "dom",
    "layers",
    "ipc",
    "net",
    "gc",
    "Poke",
    "Update",
    "Paint",
    "Render",
    "Alloc",
)
LOCALES = ("en-US", "de", "fr", "ja", "pl", "ru", "zh-CN", "pt-BR", "es-ES", "it", "nl", "cs")
TEXTS = (
    "adapter_device_id", "adapter_vendor_id", "adapter_subsys_id", "adapter_driver_version", "async_shutdown_timeout",
    "cpu_microcode_version", "distribution_id", "main_module", "minidump_sha256_hash", "processor_notes", "theme",
    "app_notes", "last_error_value", "windows_package_family_name", "user_agent",
)  # fmt: skip
NUMBERS = (
    "available_page_file", "available_physical_memory", "available_virtual_memory", "total_page_file", "crash_time",
    "total_physical_memory", "total_virtual_memory", "system_memory_use_percentage", "startup_time", "thread_count",
    "payload_size",
)  # fmt: skip
BOOLS = ("dom_fission_enabled", "safe_mode", "is_nightly_build", "throttleable", "has_guard_page_access")


class Crashes:
    """Draws rows."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        names = ["::".join(rng.choice(WORDS, 4)) + f"<T>::Do{n}" for n in range(SIGNATURES)]
        self.signatures = np.array(
            [f"{a} | {b}" for a, b in zip(names, reversed(names), strict=True)], object
        )
        self.stacks = np.array(
            [f"{s} | " + " | ".join(rng.choice(names, 14)) for s in self.signatures], object
        )
        self.addons = np.array([self.list_of_addons() for _ in range(20_000)], object)
        weights = 1 / np.arange(1, SIGNATURES + 1) ** 0.9
        self.cumulative = np.cumsum(weights / weights.sum())

    def list_of_addons(self) -> str:
        return msgspec.json.encode(
            [f"addon{a}@example.org:1.{a % 7}" for a in self.rng.integers(0, 300, 6)]
        ).decode()

    def day(self, day: date, rows: int) -> pa.Table:
        """Rows received on one day, in no order."""
        rng = self.rng
        midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
        received = midnight_us + rng.integers(0, 86_400_000_000, rows)
        signature = np.searchsorted(self.cumulative, rng.random(rows))
        major = 145 - np.minimum(rng.geometric(0.5, rows) - 1, 9)
        minor = rng.integers(0, 4, rows)
        product, channel = self.draw(PRODUCTS, rows), self.draw(CHANNELS, rows)
        columns: dict[str, pa.Array] = {
            "submission_date": pa.array(np.full(rows, np.datetime64(day)), pa.date32()),
            "uuid": pa.array([f"{a:016x}{b:010x}" for a, b in zip(
                rng.integers(0, 2**63, rows), rng.integers(0, 2**40, rows), strict=True)]),
            "revision": pa.array(np.zeros(rows, np.int64)),
            "date": pa.array(received, pa.timestamp("us", "UTC")),
            "completed_datetime": pa.array(received + 400_000, pa.timestamp("us", "UTC")),
            "product": words(list(PRODUCTS), product),
            "release_channel": words(list(CHANNELS), channel),
            "version": words([f"{a}.0.{b}" for a in range(136, 146) for b in range(4)], (major - 136) * 4 + minor),
            "build": words([f"2025{m:02d}{d:02d}093000" for m in range(1, 11) for d in range(3, 7)],
                           (major - 136) * 4 + minor),
            "vendor": words(["Mozilla"], np.zeros(rows, int)),
            "signature": words(self.signatures, signature),
            "proto_signature": words(self.stacks, signature),
            "process_type": words(["parent", "content", "gpu", "utility"], self.skewed(4, rows)),
            "report_type": words(["crash", "hang"], (rng.random(rows) < 0.04).astype(int)),
            "reason": words(["SIGSEGV / SEGV_MAPERR", "EXCEPTION_ACCESS_VIOLATION_READ", "EXCEPTION_BREAKPOINT",
                             "EXCEPTION_ACCESS_VIOLATION_WRITE", "SIGABRT", "SIGILL"], self.skewed(6, rows)),
            "address": pa.array([f"0x{a:016x}" for a in rng.integers(0, 2**47, rows) * (rng.random(rows) > 0.4)]),
            "os_name": words(list(SYSTEMS), self.draw(SYSTEMS, rows)),
            "os_version": words([f"10.0.{b}" for b in range(19000, 19060)], self.skewed(60, rows)),
            "os_pretty_version": words(["Windows 10", "Windows 11", "Linux", "macOS 14"], self.skewed(4, rows)),
            "cpu_arch": words(["amd64", "x86", "arm64"], self.skewed(3, rows)),
            "cpu_info": words([f"family 6 model {m} stepping {m % 9}" for m in range(200)], self.skewed(200, rows)),
            "topmost_filenames": words([f"{a}/{b}.cpp" for a in WORDS for b in WORDS], self.skewed(169, rows)),
            "throttle_rule": words(["is_firefox_desktop", "is_nightly"], (channel == 2).astype(int)),
            "submitted_from": words(["Client", "Infobar", "CrashesTab"], self.skewed(3, rows)),
            "major_version": pa.array(major),
            "cpu_count": pa.array(2 ** rng.integers(1, 5, rows)),
            "crashing_thread": pa.array(self.skewed(60, rows)),
            "uptime": pa.array(rng.exponential(4000, rows).astype(np.int64)),
            "install_age": pa.array(rng.exponential(400_000, rows).astype(np.int64)),
            "install_time": pa.array(1_750_000_000 + rng.integers(0, 9_000_000, rows)),
            "last_crash": pa.array(rng.exponential(90_000, rows).astype(np.int64), mask=rng.random(rows) < 0.3),
            "oom_allocation_size": pa.array(rng.integers(1, 10**8, rows), mask=rng.random(rows) < 0.93),
            "moz_crash_reason": words([f"MOZ_ASSERT(m{n})" for n in range(150)], self.skewed(150, rows), 0.8, rng),
            "throttle_rate": pa.array(np.where((channel == 0) & (product == 0), 0.1, 1.0)),
            "startup_crash": pa.array(rng.random(rows) < 0.06),
            "success": pa.array(np.ones(rows, bool)),
            **self.fields(rows),
            "url": pa.array([f"https://example.org/{n}" for n in rng.integers(0, 10**6, rows)]),
            "remote_type": words(["web", "file", "webIsolated=https://example.org"], self.skewed(3, rows)),
        }  # fmt: skip
        tail = f"-{day:%y%m%d}"
        uuids = [
            f"{u[:8]}-{u[8:12]}-{u[12:16]}-{u[16:20]}-{u[20:26]}{tail[1:]}"
            for u in columns["uuid"].to_pylist()
        ]
        return pa.table({**columns, "uuid": pa.array(uuids)})

    def fields(self, rows: int) -> dict[str, pa.Array]:
        """The fields that are in every report and that few searches name."""
        rng = self.rng
        return {
            "useragent_locale": words(LOCALES, self.skewed(len(LOCALES), rows)),
            "addons": words(self.addons, self.skewed(20_000, rows)),
            **{
                name: words([f"{name[:12]} {n}" for n in range(400)], self.skewed(400, rows))
                for name in TEXTS
            },
            **{name: pa.array(rng.integers(0, 2**33, rows)) for name in NUMBERS},
            **{name: pa.array(rng.random(rows) < 0.3) for name in BOOLS},
            "fields": maps({"own_team": words(["red", "green", "blue"], self.skewed(3, rows))}, rows),
        }

    def draw(self, shares: dict[str, float], rows: int) -> np.ndarray:
        return self.rng.choice(len(shares), rows, p=list(shares.values()))

    def skewed(self, count: int, rows: int) -> np.ndarray:
        return np.minimum(self.rng.geometric(min(0.5, 4 / count), rows) - 1, count - 1)


def words(
    values: list[str] | np.ndarray,
    codes: np.ndarray,
    missing: float = 0,
    rng: np.random.Generator | None = None,
) -> pa.Array:
    """Texts by their numbers; a share of them missing."""
    mask = rng.random(len(codes)) < missing if rng is not None else None
    indices = pa.array(codes.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(values), pa.string())).cast(pa.string())


def maps(values: dict[str, pa.Array], rows: int) -> pa.Array:
    """A map a row with all of these keys."""
    count = len(values)
    keys = pa.array(list(values)).take(pa.array(np.tile(np.arange(count), rows)))
    # Column after column -> row after row.
    order = (np.arange(rows * count) % count) * rows + np.arange(rows * count) // count
    items = pa.concat_arrays(list(values.values())).take(pa.array(order))
    return pa.MapArray.from_arrays(pa.array(np.arange(rows + 1) * count, pa.int32()), keys, items)


def make(sizes: Sizes, crashes: int) -> Path:
    """The data folder of the lake, made at the first call."""
    data = WORK / f"crash-lake-{crashes}"
    stamp = data / "complete.json"
    if stamp.exists():
        return data
    shutil.rmtree(data, ignore_errors=True)
    services = Services(load_config(data, environ={}))
    services.writer.ensure(services.registry())
    drawn = Crashes(np.random.default_rng(SEED))
    version = 0
    for number in range(DAYS):
        table = drawn.day(LAST_DAY - timedelta(days=DAYS - 1 - number), crashes // DAYS)
        pieces = SMALL_COMMITS if number == DAYS - 1 else 1
        size = -(-table.num_rows // pieces)
        for start in range(0, table.num_rows, size):
            version += 1
            add(services, "crashes", table.slice(start, size), version)
    services.close()
    stamp.write_text(json.dumps({"last_day": LAST_DAY.isoformat()}))
    return data


def make_revised(sizes: Sizes, crashes: int) -> Path:
    """A copy of the lake in which one of a hundred crashes of each day was processed again, to the same end."""
    data = WORK / f"crash-lake-{crashes}-revised"
    stamp = data / "complete.json"
    if stamp.exists():
        return data
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(make(sizes, crashes), data, ignore=shutil.ignore_patterns("complete.json", "cache"))
    services = Services(load_config(data, environ={}))
    files = sorted((data / "lake" / "crashes").glob("submission_date=*/*.parquet"))
    for version, path in enumerate(files, 1):
        rows = pq.ParquetFile(path).read()
        day = date.fromisoformat(path.parent.name.partition("=")[2])
        again = rows.take(pa.array(np.arange(0, rows.num_rows, 100)))
        ones = pa.array(np.ones(again.num_rows, np.int64))
        again = again.set_column(again.column_names.index("revision"), "revision", ones)
        days = pa.array(np.full(again.num_rows, np.datetime64(day)), pa.date32())
        again = again.append_column("submission_date", days)
        add(services, "crashes", again, version, "again")
        add(
            services,
            "crash_revisions",
            again.select(["submission_date", "uuid", "revision"]),
            version,
            "again",
        )
    services.close()
    stamp.write_text(json.dumps({"last_day": LAST_DAY.isoformat()}))
    return data


def add(services: Services, table: str, rows: pa.Table, version: int, app: str = "bench") -> None:
    staged = services.writer.stage(table, rows, COMPACTED_LEVEL)
    services.writer.commit(table, staged, app, version)


if __name__ == "__main__":
    print(make(sizes_from(sys.argv), int(sys.argv[-1])))
