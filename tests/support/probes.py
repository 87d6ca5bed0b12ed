"""Probe files made for tests, in the formats of Mozilla's probe-info service and of the Glean Dictionary."""

from __future__ import annotations

from typing import Any


def definition(kind: str, first: str = "100", last: str = "135", **details: Any) -> dict[str, Any]:
    """One entry of a probe's history; `details` may hold keys of the entry itself (optout, description)."""
    optout = details.pop("optout", True)
    text = details.pop("description", "What is measured here.")
    processes = details.pop("processes", ["main", "content"])
    return {
        "cpp_guard": None,
        "description": text,
        "details": {"keyed": False, **details, "kind": kind, "record_in_processes": processes},
        "expiry_version": "never",
        "optout": optout,
        "revisions": {"first": "a" * 40, "last": "b" * 40},
        "versions": {"first": first, "last": last},
    }


def legacy(name: str, family: str = "histogram", **history: list[dict[str, Any]]) -> dict[str, Any]:
    """One value of a Firefox probe file; `history` by channel."""
    return {
        "type": family,
        "name": name,
        "first_added": dict.fromkeys(history, "2020-01-01 00:00:00"),
        "history": history,
    }


def pauses(**changes: Any) -> dict[str, Any]:
    """An exponential histogram of milliseconds."""
    return definition("exponential", **{"low": 1, "high": 10_000, "n_buckets": 50, **changes})


def firefox_file() -> dict[str, Any]:
    """Probes of each kind, under their ids."""
    entries = [
        legacy(
            "GC_MS",
            release=[pauses(description="Time spent running\n  the garbage collector (ms).")],
            nightly=[pauses(last="136"), pauses(first="40", last="99", low=1, high=500, n_buckets=20)],
        ),
        legacy("GC_OLD_MS", nightly=[pauses(first="30", last="61")]),
        legacy("GC_NIGHTLY_ONLY", nightly=[pauses(last="136", optout=False)]),
        legacy("GPU_WAIT_MS", release=[pauses(processes=["gpu"])]),
        legacy("CHILD_WAIT_MS", release=[pauses(processes=["all_childs"])]),
        legacy("TAB_COUNT", release=[definition("linear", low=1, high=100, n_buckets=101)]),
        legacy("CRASHES_WITH_DUMP", release=[definition("count", keyed=True, processes=["main"])]),
        legacy(
            "PAINT_MS", release=[pauses(keyed=True, keys=["cold", "warm"], processes=["main", "content"])]
        ),
        legacy("SLOW_NOTICES", release=[definition("count", processes=["main"])]),
        legacy("SAW_BANNER", release=[definition("boolean", low=1, high=2, n_buckets=3)]),
        legacy("ONCE", release=[definition("flag", low=1, high=2, n_buckets=3)]),
        legacy("LOAD_REASON", release=[definition("enumerated", n_values=8, low=1, high=8, n_buckets=9)]),
        legacy(
            "LOAD_STATE",
            release=[
                definition("categorical", labels=["fine", "slow", "failed"], low=1, high=50, n_buckets=51)
            ],
        ),
        legacy("browser.engagement.tabs", "scalar", release=[definition("uint", processes=["main"])]),
        legacy("browser.by_menu", "scalar", release=[definition("uint", keyed=True, processes=["main"])]),
        legacy("browser.is_default", "scalar", release=[definition("boolean", processes=["main"])]),
        legacy("browser.theme_name", "scalar", release=[definition("string", processes=["main"])]),
        legacy("navigation#search", "event", release=[definition("event", processes=["main"])]),
    ]
    return {f"{e['type']}/{e['name']}": e for e in entries}


def metric(kind: str, pings: tuple[str, ...] = ("metrics",), **changes: Any) -> dict[str, Any]:
    """One value of a Glean metrics file, without its name."""
    entry = {
        "type": kind,
        "description": f"A {kind} of the tests.\n",
        "send_in_pings": list(pings),
        "dates": {"first": "2024-02-03 10:00:00", "last": "2026-09-10 11:12:13"},
        "git-commits": {"first": "c" * 40, "last": "d" * 40},
        **changes,
    }
    return {"type": kind, "history": [entry], "in-source": True}


def glean_file() -> dict[str, Any]:
    """Metrics of each kind by name."""
    metrics = {
        "page.load": metric("timing_distribution", time_unit="millisecond"),
        "page.load_by_type": metric("labeled_timing_distribution", labels=["cold", "warm"]),
        "memory.total": metric("memory_distribution", memory_unit="kilobyte"),
        "tabs.open": metric(
            "custom_distribution", range_min=1, range_max=100, bucket_count=101, histogram_type="linear"
        ),
        "crash.by_process": metric("labeled_counter", labels=["gpu", "main"]),
        "errors.by_host": metric("labeled_counter"),
        "page.reloads": metric("counter", ("baseline", "metrics")),
        "disk.free": metric("quantity", unit="MB"),
        "start.duration": metric("timespan", ("baseline",), time_unit="millisecond"),
        "start.was_cold": metric("boolean"),
        "search.engine": metric("string"),
        "page.clicked": metric("event", ("events",)),
        "first.run": metric("datetime"),
        "own.ping_only": metric("counter", ("first-session",)),
        "everywhere.count": metric("counter", ("all-pings",)),
        "legacy.both": metric("dual_labeled_counter"),
    }
    return {name: {"name": name, **value} for name, value in metrics.items()}


def dictionary_file() -> dict[str, Any]:
    """An application as the Glean Dictionary shows it."""
    return {
        "app_name": "my_browser",
        "app_description": "A browser of the tests.",
        "canonical_app_name": "My Browser",
        "app_ids": [{"name": "org.example.browser", "channel": "release"}],
        "pings": [{"name": "metrics"}],
        "metrics": [
            {"name": "page.load", "type": "timing_distribution", "description": "Loads.", "in_source": True},
            {"name": "old.count", "type": "counter", "description": "Gone.", "in_source": False},
            {"name": "odd.one"},
        ],
    }
