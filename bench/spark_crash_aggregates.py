"""The daily batch on Spark, for comparison with the backfill; runs in the environment that has PySpark, nothing else.

`native`: text -> from_json with an explicit schema of the fields that are used -> groupBy -> maps -> one Parquet file.
`old`: the steps of the old job: an RDD of dicts for each document type, their union, a dict of properties a ping,
a filter that counts with accumulators, (key, list of numbers and squares), reduceByKey, maps, one Parquet file.
Both under the rule set `default` of crash_aggregates, and both write crash_aggregates only.
"""

from datetime import date, datetime, timedelta

from pyspark.sql import functions

from spark_old_shape import found_at, old_shape
from spark_pings import channel_of
from spark_runs import run

DIMENSIONS = {
    "build_version": ("environment", "build", "version"),
    "build_id": ("environment", "build", "buildId"),
    "channel": ("meta", "normalizedChannel"),
    "application": ("meta", "appName"),
    "os_name": ("environment", "system", "os", "name"),
    "os_version": ("environment", "system", "os", "version"),
    "architecture": ("environment", "build", "architecture"),
    "country": ("meta", "geoCountry"),
    "experiment_id": ("environment", "addons", "activeExperiment", "id"),
    "experiment_branch": ("environment", "addons", "activeExperiment", "branch"),
    "e10s_enabled": ("environment", "settings", "e10sEnabled"),
    "e10s_cohort": ("environment", "settings", "e10sCohort"),
    "gfx_compositor": ("environment", "system", "gfx", "features", "compositor"),
}
HISTOGRAMS = {
    "content_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "content"),
    "plugin_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "plugin"),
    "gmplugin_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "gmplugin"),
    "content_shutdown_crashes": ("SUBPROCESS_KILL_HARD", "ShutDownKill"),
    "gpu_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "gpu"),
}
SUMS = ("usage_hours", "main_crashes", *HISTOGRAMS)
STATS = ("ping_count", *SUMS, *(f"{name}_squared" for name in SUMS))
COLUMNS = "activity_date string, dimensions map<string, string>, stats map<string, double>"


def native(session, source, target):
    lines = session.read.text(source.split(","))
    pings = lines.select(functions.from_json("value", schema()).alias("p")).select("p.*")
    rows = pings.select(*keys(), *values(), valid().alias("valid"))
    sums = (
        rows.where("valid")
        .groupBy("activity_date", *DIMENSIONS)
        .agg(*(functions.sum(s).alias(s) for s in STATS))
    )
    dimensions = ", ".join(f"'{name}', {name}" for name in DIMENSIONS)
    stats = ", ".join(f"'{name}', cast({name} as double)" for name in STATS)
    shaped = sums.selectExpr(
        "cast(activity_date as string) as activity_date",
        f"map_filter(map({dimensions}), (k, v) -> v is not null) as dimensions",
        f"map({stats}) as stats",
    )
    shaped.coalesce(1).write.mode("overwrite").parquet(target)


def schema():
    histogram = "struct<`values`: map<string, bigint>>"
    dumps = ", ".join(f"{key}: {histogram}" for name, key in HISTOGRAMS.values() if name.endswith("DUMP"))
    return f"""struct<
        meta: struct<submissionDate: string, geoCountry: string, normalizedChannel: string, appName: string,
            docType: string>,
        environment: struct<
            build: struct<version: string, buildId: string, architecture: string>,
            system: struct<os: struct<name: string, version: string>,
                gfx: struct<features: struct<compositor: string>>>,
            settings: struct<e10sEnabled: boolean, e10sCohort: string>,
            addons: struct<activeExperiment: struct<id: string, branch: string>>>,
        payload: struct<
            processType: string, crashDate: string,
            info: struct<subsessionLength: bigint, subsessionStartDate: string>,
            keyedHistograms: struct<
                SUBPROCESS_CRASHES_WITH_DUMP: struct<{dumps}>,
                SUBPROCESS_KILL_HARD: struct<ShutDownKill: {histogram}>>>>"""


def keys():
    raw = (
        "try_to_date(case when meta.docType = 'main' then substr(payload.info.subsessionStartDate, 1, 10) "
        "else payload.crashDate end, 'yyyy-MM-dd')"
    )
    submitted = "to_date(meta.submissionDate, 'yyyyMMdd')"
    found = {name: ".".join(path) for name, path in DIMENSIONS.items()}
    found["activity_date"] = f"greatest(date_sub({submitted}, 7), least({submitted}, {raw}))"
    found["channel"] = (
        "case when meta.normalizedChannel in ('release', 'esr', 'beta', 'aurora', 'nightly') "
        "then meta.normalizedChannel when meta.normalizedChannel like 'nightly-cck-%' then 'nightly' "
        "when meta.normalizedChannel like 'beta%' then 'beta' else 'Other' end"
    )
    found["e10s_enabled"] = "initcap(cast(environment.settings.e10sEnabled as string))"
    found["gfx_compositor"] = "nullif(environment.system.gfx.features.compositor, 'none')"
    return [functions.expr(source).alias(name) for name, source in found.items()]


def values():
    is_main, length = "meta.docType = 'main'", "payload.info.subsessionLength"
    found = {
        "ping_count": f"case when {is_main} then 1 else 0 end",
        "usage_hours": f"case when {is_main} then least(greatest({length}, 0), 90000) / 3600 else 0 end",
        "main_crashes": f"case when {is_main} then 0 else 1 end",
    }
    for stat, (name, key) in HISTOGRAMS.items():
        count = f"coalesce(payload.keyedHistograms.{name}.{key}.`values`['0'], 0)"
        found[stat] = f"case when {is_main} then {count} else 0 end"
    found |= {f"{name}_squared": f"({found[name]}) * ({found[name]})" for name in SUMS}
    return [functions.expr(found[name]).alias(name) for name in STATS]


def valid():
    return functions.expr(
        "coalesce(environment.build.buildId rlike '^[0-9]{14}$', false)"
        " and case when meta.docType = 'main' then payload.info.subsessionLength is not null"
        " and try_to_date(substr(payload.info.subsessionStartDate, 1, 10), 'yyyy-MM-dd') is not null"
        " else payload.info.subsessionLength is null and coalesce(payload.processType, 'main') = 'main'"
        " and try_to_date(payload.crashDate, 'yyyy-MM-dd') is not null end"
    )


def old(session, source, target):
    old_shape(session, source, target, (properties, usable, pair, maps), COLUMNS)


def day(text, form):
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007
    except (TypeError, ValueError):
        return None


def properties(ping):
    found = {name: found_at(ping, path) for name, path in DIMENSIONS.items()}
    found["doc_type"] = found_at(ping, ("meta", "docType"))
    found["submitted"] = day(found_at(ping, ("meta", "submissionDate")), "%Y%m%d")
    found["length"] = found_at(ping, ("payload", "info", "subsessionLength"))
    found["process"] = found_at(ping, ("payload", "processType"))
    start = found_at(ping, ("payload", "info", "subsessionStartDate"))
    found["activity"] = day(
        (start or "")[:10] if found["doc_type"] == "main" else found_at(ping, ("payload", "crashDate")),
        "%Y-%m-%d",
    )
    for stat, path in HISTOGRAMS.items():
        buckets = found_at(ping, ("payload", "keyedHistograms", *path, "values"))
        found[stat] = buckets.get("0", 0) if isinstance(buckets, dict) else 0
    return found


def usable(ping):
    build_id = ping["build_id"]
    if ping["submitted"] is None or ping["activity"] is None:
        return False
    if not isinstance(build_id, str) or len(build_id) != 14 or not build_id.isdigit():
        return False
    if ping["doc_type"] == "main":
        return isinstance(ping["length"], int)
    return ping["length"] is None and ping["process"] in (None, "main")


def pair(ping):
    is_main = ping["doc_type"] == "main"
    activity = max(ping["submitted"] - timedelta(days=7), min(ping["submitted"], ping["activity"]))
    if ping["gfx_compositor"] == "none":
        ping["gfx_compositor"] = None
    if ping["channel"] is not None:
        ping["channel"] = channel_of(ping["channel"])
    numbers = [min(25, max(0, ping["length"]) / 3600.0) if is_main else 0, int(not is_main)]
    numbers += [ping[stat] if is_main else 0 for stat in HISTOGRAMS]
    key = (activity, *(ping[name] for name in DIMENSIONS))
    return key, [int(is_main), *numbers, *(n * n for n in numbers)]


def maps(pair):
    (activity, *dimensions), stats = pair
    named = {name: str(value) for name, value in zip(DIMENSIONS, dimensions) if value is not None}  # noqa: B905
    return date.isoformat(activity), named, dict(zip(STATS, map(float, stats)))  # noqa: B905


if __name__ == "__main__":
    run({"native": native, "old": old})
