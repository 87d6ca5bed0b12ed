"""The old daily job's steps, over today's rules: what a job of that shape costs. Runs where PySpark is, nothing else.

An RDD of dicts for each document type, as the storage was partitioned by it; their union; a dict of properties for
each ping, each found by its path; a filter that counts with accumulators; (key, list of numbers and squares);
reduceByKey; maps of dimensions and of stats; one Parquet file. What nobody reported is 0, as it was there.
"""

import json
from datetime import datetime

from spark_pings import (
    CHANNELS,
    COUNTS,
    CRASHES,
    DIMENSIONS,
    MEASURES,
    REQUIRED,
    SUBPROCESSES,
    THRESHOLDS,
    channel_of,
    numeric,
)

SQUARED = ("usage_hours", *CRASHES, *(f"{s}_crashes" for s in SUBPROCESSES))
STATS = (*MEASURES, *(f"{name}_squared" for name in SQUARED))
HISTOGRAMS = {
    **{f"{s}_crashes": ("keyedHistograms", "SUBPROCESS_CRASHES_WITH_DUMP", s) for s in SUBPROCESSES},
    **{name.lower(): ("histograms", name) for name in COUNTS},
}
PATHS = {
    "channel": ("meta", "normalizedChannel"),
    "application": ("meta", "appName"),
    "version": ("environment", "build", "version"),
    "display_version": ("application", "displayVersion"),
    "build_id": ("environment", "build", "buildId"),
    "os_name": ("environment", "system", "os", "name"),
    "os_version": ("environment", "system", "os", "version"),
    "architecture": ("environment", "build", "architecture"),
    "country": ("meta", "geoCountry"),
    "doc_type": ("meta", "docType"),
    "timestamp": ("meta", "Timestamp"),
    "process_type": ("payload", "processType"),
    "crash_date": ("payload", "crashDate"),
    "metadata": ("payload", "metadata"),
    "subsession_length": ("payload", "info", "subsessionLength"),
    "subsession_counter": ("payload", "info", "subsessionCounter"),
    "first_paint": ("payload", "simpleMeasurements", "firstPaint"),
    **{f"application/{name}": ("application", name) for name in REQUIRED},
}


def run(session, source, target):
    columns = "window_start bigint, dimensions map<string, string>, stats map<string, double>"
    old_shape(session, source, target, (properties, usable, pair, maps), columns)


def old_shape(session, source, target, steps, columns):
    """`source`: two files of lines, one a document type, parted by a comma. `steps`: a ping's dict -> a dict of its
    properties -> whether it counts -> (key, numbers) -> a row of `columns`.
    """
    properties, usable, pair, row = steps
    context = session.sparkContext
    main, crash = (context.textFile(path).map(json.loads) for path in source.split(","))
    processed, ignored = context.accumulator(0), context.accumulator(0)

    def is_valid(ping):
        if usable(ping):
            processed.add(1)
            return True
        ignored.add(1)
        return False

    pairs = main.union(crash).map(properties).filter(is_valid).map(pair)
    sums = pairs.reduceByKey(lambda one, other: [a + b for a, b in zip(one, other)])  # noqa: B905
    session.createDataFrame(sums.map(row).coalesce(1), columns).write.mode("overwrite").parquet(target)


def found_at(value, path):
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def day(text):
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007
    except (TypeError, ValueError):
        return None


def properties(ping):
    result = {name: found_at(ping, path) for name, path in PATHS.items()}
    result["submitted"] = day(found_at(ping, ("meta", "submissionDate")))
    result["built"] = day(result["build_id"])
    for name, path in HISTOGRAMS.items():
        values = found_at(ping, ("payload", *path, "values"))
        result[name] = values.get("0", 0) if isinstance(values, dict) else 0
    for name, limit in THRESHOLDS:
        for process, root in (("main", ()), ("content", ("processes", "content"))):
            values = found_at(ping, ("payload", *root, "histograms", name, "values")) or {}
            above = sum(count for bucket, count in values.items() if int(bucket) >= limit)
            result[f"{name.lower()}_{process}_above_{limit}"] = above
    return result


def usable(ping):
    if ping["submitted"] is None or ping["built"] is None or ping["country"] is None:
        return False
    submitted, built = ping["submitted"], ping["built"]
    days = (
        (submitted.year - built.year) * 384 + (submitted.month - built.month) * 32 + submitted.day - built.day
    )
    if any(ping[f"application/{name}"] is None for name in REQUIRED) or not 0 <= int(days / 32) <= 6:
        return False
    if ping["channel"] is None or channel_of(ping["channel"]) not in CHANNELS:
        return False
    if ping["doc_type"] == "main":
        return isinstance(ping["subsession_length"], int)
    is_known = (ping["process_type"] or "main") in ("main", "content")
    return is_known and ping["crash_date"] is not None and ping["metadata"] is not None


def pair(ping):
    ping["channel"], ping["os_version"] = channel_of(ping["channel"]), numeric(ping["os_version"])
    ping["country"] = ping["country"].upper()
    key = (ping["timestamp"] // 300_000_000_000 * 300, *(ping[name] for name in DIMENSIONS))
    is_main, process = ping["doc_type"] == "main", ping["process_type"] or "main"
    metadata = ping["metadata"] or {}
    is_shutdown = metadata.get("ipc_channel_error") == "ShutDownKill"
    is_first = is_main and ping["subsession_counter"] == 1
    values = {
        **{name: ping.get(name) or 0 for name in MEASURES},
        "main_crashes": int(not is_main and process == "main"),
        "startup_crashes": int(not is_main and process == "main" and metadata.get("StartupCrash") == "1"),
        "content_shutdown_crashes": int(not is_main and process == "content" and is_shutdown),
        "content_crashes": int(not is_main and process == "content" and not is_shutdown),
        "usage_hours": min(25, max(0, ping["subsession_length"]) / 3600.0) if is_main else 0,
        "count": 1,
        "ping_count": int(is_main),
        "subsession_count": int(is_main),
        "first_subsession_count": int(is_first),
        "first_paint": (ping["first_paint"] or 0) if is_first else 0,
    }
    return key, [values[name] for name in MEASURES] + [values[name] ** 2 for name in SQUARED]


def maps(pair):
    (window_start, *dimensions), stats = pair
    named = {name: str(value) for name, value in zip(DIMENSIONS, dimensions) if value is not None}  # noqa: B905
    return window_start, named, dict(zip(STATS, map(float, stats)))  # noqa: B905
