"""The Spark jobs that the import is compared with; runs in the environment that has PySpark, nothing else.

`native`: text -> from_json with an explicit schema of the fields that are needed -> groupBy -> Parquet.
`rdd`: as lean as an RDD of dicts can be: textFile -> json.loads -> (key, list of sums) -> reduceByKey -> Parquet.
`old`: the steps of the old daily job (see `spark_old_shape.py`).
All apply the rules of the shipped registry that matter for the corpus, and all write error aggregates only: the
product also looks for duplicates and writes experiments, usage by activity and discards in the same time.
"""

import json
from datetime import date

from pyspark.sql import functions

from spark_runs import run

REQUIRED = ("architecture", "buildId", "channel", "name", "platformVersion", "vendor", "version", "xpcomAbi")
COUNTS = (
    "BROWSER_SHIM_USAGE_BLOCKED", "PERMISSIONS_SQL_CORRUPTED", "DEFECTIVE_PERMISSIONS_SQL_REMOVED",
    "SLOW_SCRIPT_NOTICE_COUNT", "SLOW_SCRIPT_PAGE_COUNT",
)  # fmt: skip
SUBPROCESSES = ("gpu", "gmplugin", "plugin")
PAUSES = ("INPUT_EVENT_RESPONSE_COALESCED_MS", "GC_MAX_PAUSE_MS_2", "CYCLE_COLLECTOR_MAX_PAUSE")
THRESHOLDS = [(name, limit) for name in PAUSES for limit in (150, 250, 2500)] + [("GHOST_WINDOWS", 1)]
DIMENSIONS = (
    "channel", "application", "version", "display_version", "build_id", "os_name", "os_version", "architecture",
    "country",
)  # fmt: skip
KEYS = ("window_start", *DIMENSIONS)
CRASHES = ("main_crashes", "content_crashes", "startup_crashes", "content_shutdown_crashes")
MEASURES = (
    *CRASHES,
    *(f"{s}_crashes" for s in SUBPROCESSES),
    "usage_hours", "count", "ping_count", "subsession_count", "first_subsession_count", "first_paint",
    *(c.lower() for c in COUNTS),
    *(f"{n.lower()}_{p}_above_{t}" for n, t in THRESHOLDS for p in ("main", "content")),
)  # fmt: skip
CHANNELS = ("release", "esr", "beta", "aurora", "nightly")


def schema():
    histogram = "struct<`values`: map<string, bigint>>"
    thresholds = ", ".join(f"{name}: {histogram}" for name in (*PAUSES, "GHOST_WINDOWS"))
    counts = ", ".join(f"{name}: {histogram}" for name in COUNTS)
    keyed = ", ".join(f"{name}: {histogram}" for name in SUBPROCESSES)
    texts = ", ".join(f"{name}: string" for name in (*REQUIRED, "displayVersion"))
    return f"""struct<
        meta: struct<Timestamp: bigint, submissionDate: string, geoCountry: string, normalizedChannel: string,
            appName: string, appVersion: string, appBuildId: string, docType: string>,
        application: struct<{texts}>,
        environment: struct<
            build: struct<version: string, buildId: string, architecture: string>,
            system: struct<os: struct<name: string, version: string>>>,
        payload: struct<
            processType: string, crashDate: string,
            metadata: struct<StartupCrash: string, ipc_channel_error: string>,
            info: struct<subsessionLength: bigint, subsessionCounter: bigint>,
            simpleMeasurements: struct<firstPaint: bigint>,
            histograms: struct<{counts}, {thresholds}>,
            processes: struct<content: struct<histograms: struct<{thresholds}>>>,
            keyedHistograms: struct<SUBPROCESS_CRASHES_WITH_DUMP: struct<{keyed}>>>>"""


def native(session, source, target, once=False):
    sums_of(session.read.text(source), once).write.mode("overwrite").parquet(target)


def sums_of(lines, once):
    """Sums by key of pings in the column `value`."""
    pings = lines.select(functions.from_json("value", schema()).alias("p")).select("p.*")
    rows = pings.select(*keys(), *values(), valid(once).alias("valid"))
    return rows.where("valid").groupBy(*KEYS).agg(*(functions.sum(m).alias(m) for m in MEASURES))


def keys():
    channel = (
        "case when meta.normalizedChannel in ('release', 'esr', 'beta', 'aurora', 'nightly') "
        "then meta.normalizedChannel "
        "when meta.normalizedChannel like 'nightly-cck-%' then 'nightly' "
        "when meta.normalizedChannel like 'beta%' then 'beta' else 'Other' end"
    )
    sources = {
        "window_start": "meta.Timestamp div 300000000000 * 300",
        "channel": channel,
        "application": "meta.appName",
        "version": "environment.build.version",
        "display_version": "application.displayVersion",
        "build_id": "environment.build.buildId",
        "os_name": "environment.system.os.name",
        "os_version": r"nullif(regexp_extract(environment.system.os.version, '^\\d+(\\.\\d+){0,2}', 0), '')",
        "architecture": "environment.build.architecture",
        "country": "upper(meta.geoCountry)",
    }
    return [functions.expr(source).alias(name) for name, source in sources.items()]


def values():
    main, crash = "meta.docType = 'main'", "meta.docType = 'crash'"
    process = "coalesce(payload.processType, 'main')"
    shutdown = "coalesce(payload.metadata.ipc_channel_error, '') = 'ShutDownKill'"
    first = "payload.info.subsessionCounter = 1"

    def of(condition, value="1"):
        return f"case when {condition} then cast({value} as bigint) end"

    found = {
        "main_crashes": of(f"{crash} and {process} = 'main'"),
        "content_crashes": of(f"{crash} and {process} = 'content' and not {shutdown}"),
        "startup_crashes": of(f"{crash} and {process} = 'main' and payload.metadata.StartupCrash = '1'"),
        "content_shutdown_crashes": of(f"{crash} and {process} = 'content' and {shutdown}"),
        "usage_hours": f"case when {main} then least(greatest(payload.info.subsessionLength, 0), 90000) / 3600 end",
        "count": "1",
        "ping_count": of(main),
        "subsession_count": of(main),
        "first_subsession_count": f"case when {main} then cast(coalesce({first}, false) as bigint) end",
        "first_paint": of(
            f"{main} and {first}", "least(greatest(payload.simpleMeasurements.firstPaint, 0), 86400000)"
        ),
    }
    for name in SUBPROCESSES:
        source = f"payload.keyedHistograms.SUBPROCESS_CRASHES_WITH_DUMP.{name}.`values`['0']"
        found[f"{name}_crashes"] = of(main, source)
    for name in COUNTS:
        found[name.lower()] = of(main, f"payload.histograms.{name}.`values`['0']")
    for name, limit in THRESHOLDS:
        for process_name, root in (("main", "payload"), ("content", "payload.processes.content")):
            buckets = f"map_filter({root}.histograms.{name}.`values`, (k, v) -> cast(k as int) >= {limit})"
            total = f"coalesce(aggregate(map_values({buckets}), 0L, (a, v) -> a + v), 0L)"
            found[f"{name.lower()}_{process_name}_above_{limit}"] = of(main, total)
    return [functions.expr(found[name]).alias(name) for name in MEASURES]


def valid(once):
    present = [f"application.{name}" for name in REQUIRED]
    present += ["meta.appName", "meta.normalizedChannel", "meta.geoCountry", "meta.submissionDate"]
    built = "try_to_date(substr(environment.build.buildId, 1, 8), 'yyyyMMdd')"
    submitted = "try_to_date(meta.submissionDate, 'yyyyMMdd')"
    days = (
        f"(year({submitted}) - year({built})) * 384 + (month({submitted}) - month({built})) * 32"
        f" + day({submitted}) - day({built})"
    )
    rules = [f"{path} is not null" for path in present]
    rules += [
        "meta.docType in ('main', 'crash')",
        "(meta.normalizedChannel in ('release', 'esr', 'beta', 'aurora', 'nightly')"
        " or meta.normalizedChannel like 'nightly-cck-%' or meta.normalizedChannel like 'beta%')",
        f"coalesce(({days}) between -31 and 223, false)",
        "(meta.docType = 'crash' or payload.info.subsessionLength is not null)",
        "(meta.docType = 'main' or (payload.crashDate is not null and payload.metadata is not null"
        " and coalesce(payload.processType, 'main') in ('main', 'content')))",
    ]
    if once:
        # Spark may not move a column of unknown outcome. Without it, it puts the conditions below the parsing, each
        # with a from_json of its own: this is what a job as usually written does.
        rules.append("monotonically_increasing_id() >= 0")
    return functions.expr(" and ".join(rules))


def native_once(session, source, target):
    native(session, source, target, once=True)


def rdd(session, source, target):
    pairs = session.sparkContext.textFile(source).map(json.loads).flatMap(pair)
    sums = pairs.reduceByKey(add).map(lambda found: (*found[0], *found[1]))
    columns = ", ".join(f"{d} string" for d in DIMENSIONS)
    numbers = ", ".join(f"`{m}` {'double' if m == 'usage_hours' else 'bigint'}" for m in MEASURES)
    frame = session.createDataFrame(sums, f"window_start bigint, {columns}, {numbers}")
    frame.write.mode("overwrite").parquet(target)


def old(session, source, target):
    import spark_old_shape

    spark_old_shape.run(session, source, target)


def add(one, other):
    return [b if a is None else a if b is None else a + b for a, b in zip(one, other)]  # noqa: B905


def pair(ping):
    """[(key, sums)] of a ping that is counted, else []."""
    try:
        meta, application, build = ping["meta"], ping["application"], ping["environment"]["build"]
        system, payload = ping["environment"]["system"]["os"], ping["payload"]
        kind, channel = meta["docType"], channel_of(meta["normalizedChannel"])
        submitted, build_id = meta["submissionDate"], build["buildId"]
        built = date(int(build_id[:4]), int(build_id[4:6]), int(build_id[6:8]))
        day = date(int(submitted[:4]), int(submitted[4:6]), int(submitted[6:8]))
    except (KeyError, TypeError, ValueError):
        return []
    months = int(((day.year - built.year) * 384 + (day.month - built.month) * 32 + day.day - built.day) / 32)
    if any(application.get(name) is None for name in REQUIRED) or channel == "Other" or not 0 <= months <= 6:
        return []
    sums = crash_sums(payload) if kind == "crash" else main_sums(payload) if kind == "main" else None
    if sums is None:
        return []
    key = (
        meta["Timestamp"] // 300_000_000_000 * 300, channel, meta["appName"], build.get("version"),
        application.get("displayVersion"), build_id, system.get("name"), numeric(system.get("version")),
        build.get("architecture"), meta["geoCountry"].upper(),
    )  # fmt: skip
    return [(key, [sums.get(name) for name in MEASURES])]


def channel_of(raw):
    if raw in CHANNELS:
        return raw
    return "nightly" if raw.startswith("nightly-cck-") else "beta" if raw.startswith("beta") else "Other"


def numeric(version):
    parts = []
    for part in (version or "").split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if digits:
            parts.append(digits)
        if digits != part or not digits:
            break
    return ".".join(parts) or None


def crash_sums(payload):
    process, metadata = payload.get("processType") or "main", payload.get("metadata")
    if payload.get("crashDate") is None or metadata is None or process not in ("main", "content"):
        return None
    sums = {"count": 1}
    if process == "main":
        sums["main_crashes"] = 1
        if metadata.get("StartupCrash") == "1":
            sums["startup_crashes"] = 1
    elif metadata.get("ipc_channel_error") == "ShutDownKill":
        sums["content_shutdown_crashes"] = 1
    else:
        sums["content_crashes"] = 1
    return sums


def main_sums(payload):
    info = payload.get("info", {})
    length = info.get("subsessionLength")
    if not isinstance(length, int):
        return None
    first = info.get("subsessionCounter") == 1
    sums = dict.fromkeys(("count", "ping_count", "subsession_count"), 1)
    sums["usage_hours"] = min(max(length, 0), 90000) / 3600
    sums["first_subsession_count"] = int(first)
    if first:
        sums["first_paint"] = payload.get("simpleMeasurements", {}).get("firstPaint")
    main = payload.get("histograms", {})
    content = payload.get("processes", {}).get("content", {}).get("histograms", {})
    keyed = payload.get("keyedHistograms", {}).get("SUBPROCESS_CRASHES_WITH_DUMP", {})
    for name in SUBPROCESSES:
        sums[f"{name}_crashes"] = keyed.get(name, {}).get("values", {}).get("0")
    for name in COUNTS:
        sums[name.lower()] = main.get(name, {}).get("values", {}).get("0")
    for name, limit in THRESHOLDS:
        for process, histograms in (("main", main), ("content", content)):
            buckets = histograms.get(name, {}).get("values", {})
            sums[f"{name.lower()}_{process}_above_{limit}"] = sum(
                n for k, n in buckets.items() if int(k) >= limit
            )
    return sums


if __name__ == "__main__":
    run({"native": native, "native_once": native_once, "rdd": rdd, "old": old})
