"""Random pings with everything odd that the aggregates' rules speak of, for comparison with the oracle.

    made = OddPings(seed=1, day=date(2018, 5, 31))
    lines = made.lines(500)           # NDJSON as `import pings` reads it: decoded pings with `meta`

A ping starts out valid, from small pools so that many share a key, and is then spoiled by none, one or two changes.
Never imports anything of the product; equal seeds make equal pings.
"""

from __future__ import annotations

import calendar
import json
import random
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

Json = dict[str, Any]
Change = Callable[["OddPings", Json], None]

NS = 10**9
WINDOW_NS = 300 * NS
LENGTHS = (
    0, 1, -1, -90000, 3599, 3600, 86400, 89999, 90000, 90001, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**30,
    3600.0, 3600.5, 1e300, "3600", True, False, None, [3600], {},
)  # fmt: skip
OS_VERSIONS = (
    "10.0", "10.0.19045", "10.0.19045.3693", "6.1.7601-sp1", "17", "18.", "5.4-rc.2", "010.2", "10..3",
    "Vista", " 10", "v10", ".5", "", "-1", None,
)  # fmt: skip
PROCESSES = ("main", "content", "Content", "main ", "gpu", "plugin", "utility", "", None, 5)
COUNTS = (0, 1, 2, 7, 2**40, 2**40 + 1, -3, 3.0, None, "4", True, [1], {})
BUCKETS = (
    "0", "1", "2", "149", "150", "151", "249", "250", "2499", "2500", "100000", "-5", "-150",
    "", "x", "150.0", "1e3", "1_000", "0x200", "2500ms", " ", "null",
)  # fmt: skip
THRESHOLD_HISTOGRAMS = (
    "INPUT_EVENT_RESPONSE_COALESCED_MS", "GC_MAX_PAUSE_MS_2", "CYCLE_COLLECTOR_MAX_PAUSE", "GHOST_WINDOWS",
)  # fmt: skip
ERROR_HISTOGRAMS = (
    "BROWSER_SHIM_USAGE_BLOCKED", "PERMISSIONS_SQL_CORRUPTED", "DEFECTIVE_PERMISSIONS_SQL_REMOVED",
    "SLOW_SCRIPT_NOTICE_COUNT", "SLOW_SCRIPT_PAGE_COUNT",
)  # fmt: skip
SHAPES = (
    None,
    [],
    "text",
    3,
    True,
    {},
    {"values": None},
    {"values": []},
    {"values": {}},
    {"values": {"1": 4}},
)
BROKEN = (
    b"[]",
    b"7",
    b"null",
    b'{"meta": {}}',
    b"{",
    b'{"meta": {}',
    b"no json",
    b'{"a": NaN}',
    b"\xff\xfe",
    b"{'a': 1}",
    b'{"a": 1}}',
    b'{"a": 01}',
)


class OddPings:
    """A source of pings around the midnight that ends a day."""

    def __init__(self, seed: int, day: date) -> None:
        self.random = random.Random(seed)
        self.day = day
        self._sent: list[Json] = []

    def lines(self, number: int) -> list[bytes]:
        """So many lines: pings, some of them sent a second time, and some lines that are none."""
        return [self._line() for _ in range(number)]

    def ping(self) -> Json:
        """A ping with the server's `meta`."""
        kind = self.random.choices(("main", "crash", "core"), (6, 4, 2))[0]
        ping = self._valid(kind)
        if self.chance(0.05):
            return self._of_another_application(ping)
        changes = CHANGES + CHANGES_OF[kind] * 3
        for change in self.random.sample(changes, self.random.choices((0, 1, 2), (5, 4, 2))[0]):
            change(self, ping)
        return ping

    def chance(self, of_one: float) -> bool:
        return self.random.random() < of_one

    def mostly(self, values: Sequence[Any]) -> Any:
        """The first, now and then any of them: so that pings share keys."""
        return values[0] if self.chance(0.8) else self.pick(values)

    def pick(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def build_id(self, submitted: date) -> str:
        """Mostly young, at times at a border of the window of months, at times none."""
        if self.chance(0.7):
            return f"{self.day - timedelta(days=self.mostly((45, 3))):%Y%m%d}203010"
        if self.chance(0.1):
            return self.pick(
                ("20180231000000", "2018", "", "unknown", "2018-05-01", "20181301000000", "99999999")
            )
        months = self.pick((-2, -1, 0, 1, 6, 7, 8))
        day = months_before(submitted, months) + timedelta(days=self.pick((-1, 0, 0, 1)))
        return day.strftime("%Y%m%d") + self.pick(("", "093000", "-rc1", "é"))

    def timestamp(self) -> int:
        midnight = (
            int(datetime.combine(self.day + timedelta(days=1), datetime.min.time(), UTC).timestamp()) * NS
        )
        border = midnight + self.pick((-2, -1, 0, 0, 1)) * WINDOW_NS
        return border + self.pick((-1, 0, 1, NS // 2, 150 * NS, WINDOW_NS - 1))

    def histogram(self) -> Any:
        if self.chance(0.1):
            return self.pick(SHAPES)
        chosen = self.random.sample(BUCKETS, self.random.randrange(8))
        return {"range": [1, 2], "values": {b: self.count() for b in chosen}, "sum": 9}

    def count(self) -> Any:
        return self.pick((1, 2, 30)) if self.chance(0.85) else self.pick(COUNTS)

    def document_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _line(self) -> bytes:
        if self.chance(0.02):
            return self.pick(BROKEN)
        if self._sent and self.chance(0.06):
            return self._again()
        ping = self.ping()
        self._sent.append(ping)
        # Where `meta` stands in a line must not matter.
        names = list(ping)
        self.random.shuffle(names)
        escaped = "clientId" in ping or self.chance(0.5)
        return json.dumps({n: ping[n] for n in names}, ensure_ascii=escaped).encode()

    def _again(self) -> bytes:
        """A ping of before, received earlier or later, at times with other contents."""
        before = self.pick(self._sent)
        ping = self.ping() if self.chance(0.3) else json.loads(json.dumps(before))
        ping["meta"]["documentId"] = before["meta"]["documentId"]
        received = before["meta"].get("Timestamp") or self.timestamp()
        ping["meta"]["Timestamp"] = received + self.pick((-1, 0, 1, 400 * NS, -400 * NS))
        return json.dumps(ping).encode()

    def _of_another_application(self, ping: Json) -> Json:
        """Valid under any rule, since the aggregator has none for it."""
        build_id = ping["meta"]["submissionDate"]
        ping["meta"] |= {"appName": "Thunderbird", "appBuildId": build_id}
        if "environment" in ping and ping["meta"]["docType"] != "core":
            ping["environment"]["build"]["buildId"] = build_id
        return ping

    def _valid(self, kind: str) -> Json:
        received = self.timestamp()
        submitted = datetime.fromtimestamp(received // NS, UTC).date() + timedelta(
            days=self.pick((0, 0, 0, -1, 1, -40))
        )
        build_id = self.build_id(submitted)
        channel = self.mostly(("release", "beta", "nightly", "esr", "aurora", ""))
        version = self.mostly(("60.0", "60.0.1", "61.0a1"))
        meta = {
            "Timestamp": received, "submissionDate": submitted.strftime("%Y%m%d"), "docType": kind,
            "documentId": self.document_id(), "geoCountry": self.mostly(("US", "DE", "??")), "normalizedChannel": channel,
            "appName": self.mostly(("Firefox", "Fennec")), "appVersion": version, "appBuildId": build_id,
        }  # fmt: skip
        if kind == "core":
            return {"meta": meta, **self._core()}
        payload = self._main() if kind == "main" else self._crash()
        environment = self._environment(version, build_id)
        application = self._application(version, build_id)
        return {
            "meta": meta,
            "type": kind,
            "application": application,
            "environment": environment,
            "payload": payload,
        }

    def _application(self, version: str, build_id: str) -> Json:
        names = ("architecture", "channel", "name", "platformVersion", "vendor", "xpcomAbi")
        return {
            **dict.fromkeys(names, "x"), "version": version, "buildId": build_id,
            "displayVersion": self.mostly((version, version + "b3")),
        }  # fmt: skip

    def _environment(self, version: str, build_id: str) -> Json:
        system = {
            "name": self.mostly(("Windows_NT", "Linux", "Darwin")),
            "version": self.mostly(("10.0", "10.0.1.7")),
        }
        made: Json = {
            "build": {
                "version": version,
                "buildId": build_id,
                "architecture": self.mostly(("x86-64", "x86")),
            },
            "system": {"os": system, "memoryMB": 4096},
            "experiments": {},
            "addons": {"activeAddons": {"a@b": {"id": "odd"}}, "theme": {"id": "t"}},
        }
        for identity in self.random.sample(("exp-a", "exp-b", "ä", "exp.c"), self.pick((0, 0, 1, 1, 2, 3))):
            made["experiments"][identity] = {"branch": self.pick(("on", "off")), "type": "normandy"}
        if self.chance(0.3):
            old_style = {"id": self.pick(("exp-a", "exp-old")), "branch": self.pick(("on", "off"))}
            made["addons"]["activeExperiment"] = old_style
        return made

    def _main(self) -> Json:
        shown = self.random.sample(THRESHOLD_HISTOGRAMS + ERROR_HISTOGRAMS, self.random.randrange(6))
        return {
            "info": {"subsessionLength": self.pick((600, 3600, 7201)), "subsessionCounter": self.pick((1, 1, 2, 0))},
            "simpleMeasurements": {"firstPaint": self.pick((900, 1500))},
            "histograms": {**{n: self.histogram() for n in shown}, "OTHER": {"values": {"0": 99}}},
            "processes": {"content": {"histograms": {n: self.histogram() for n in shown}}},
            "keyedHistograms": {"SUBPROCESS_CRASHES_WITH_DUMP": {
                n: self.histogram() for n in self.random.sample(("gpu", "plugin", "gmplugin", "content"), 2)
            }},
        }  # fmt: skip

    def _crash(self) -> Json:
        metadata: Json = {"StartupCrash": self.pick(("0", "1"))}
        metadata["ipc_channel_error"] = self.pick(("ShutDownKill", "Other"))
        process = self.pick(("main", "content", "content", None))
        return {
            "crashDate": "2018-05-31", "metadata": metadata, "processType": process,
            # None of these are a crash ping's to report.
            "histograms": {"SLOW_SCRIPT_PAGE_COUNT": {"values": {"0": 5}}}, "info": {"subsessionLength": 3600},
        }  # fmt: skip

    def _core(self) -> Json:
        return {
            "os": "Android", "osversion": self.pick(("27", "7.1.2.3", "Nougat")), "arch": self.pick(("arm", "x86")),
            "durations": self.pick((0, 60, 1800)), "displayVersion": self.pick(("60.0", "60.0b2")),
            "experiments": ["exp-a"], "environment": {"experiments": {"exp-a": {"branch": "on"}}},
        }  # fmt: skip


def months_before(day: date, months: int) -> date:
    """The same day of a month so many months before, or that month's last."""
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def spoil(values: Sequence[Any], *path: str) -> Change:
    """Put one of some values at a path."""

    def change(made: OddPings, ping: Json) -> None:
        node = ping
        for key in path[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                return
        node[path[-1]] = made.pick(values)

    return change


def lose(*paths: str) -> Change:
    """Take the key at one of some dotted paths out, or make it null."""

    def change(made: OddPings, ping: Json) -> None:
        *parents, last = made.pick(paths).split(".")
        node: Any = ping
        for key in parents:
            node = node.get(key)
            if not isinstance(node, dict):
                return
        if made.chance(0.7):
            node.pop(last, None)
        else:
            node[last] = None

    return change


_APPLICATION = [
    f"application.{n}"
    for n in (
        "architecture",
        "buildId",
        "channel",
        "name",
        "platformVersion",
        "vendor",
        "version",
        "xpcomAbi",
    )
]
CHANGES: tuple[Change, ...] = (
    spoil(("Other", "Other", ""), "meta", "normalizedChannel"),
    spoil(("event", "saved-session", "Main"), "meta", "docType"),
    lose(*(f"meta.{n}" for n in ("appBuildId", "appVersion"))),
    lose(*(f"meta.{n}" for n in ("geoCountry", "normalizedChannel", "submissionDate", "Timestamp"))),
    spoil(("notadate", "", "20180231"), "meta", "submissionDate"),
    spoil(("ZZ", "Other"), "meta", "geoCountry"),
    spoil(("\ud800",), "clientId"),
)
_ENVIRONMENT: tuple[Change, ...] = (
    lose(*_APPLICATION),
    lose(*_APPLICATION, "application"),
    lose("environment", "environment.build", "environment.build.buildId"),
    lose("environment.build.version", "environment.build.architecture", "environment.system", "environment.system.os"),
    lose("environment.system.os.name", "environment.system.os.version", "environment.experiments", "environment.addons"),
    lose("application.displayVersion"),
    spoil(("59.0", ""), "environment", "build", "version"),
    spoil(("Linux",), "environment", "system", "os", "name"),
    spoil(("Fennec",), "meta", "appName"),
    spoil(OS_VERSIONS, "environment", "system", "os", "version"),
    spoil(({"exp-a": {"branch": "on"}, "exp-b": {}}, {"exp-a": {"branch": None}}, {}), "environment", "experiments"),
    spoil(({"id": "exp-a", "branch": "on"}, {"id": "exp-b", "branch": "on"}, {}), "environment", "addons", "activeExperiment"),
)  # fmt: skip
CHANGES_OF: dict[str, tuple[Change, ...]] = {
    "main": (
        *_ENVIRONMENT,
        spoil(LENGTHS, "payload", "info", "subsessionLength"),
        spoil(LENGTHS, "payload", "info", "subsessionLength"),
        lose("payload", "payload.info", "payload.info.subsessionLength", "payload.info.subsessionCounter"),
        lose(
            "payload.histograms", "payload.keyedHistograms", "payload.processes", "payload.processes.content"
        ),
        lose("payload.simpleMeasurements", "payload.simpleMeasurements.firstPaint"),
        spoil((0, "1", 10**6), "payload", "simpleMeasurements", "firstPaint"),
        spoil((1, 2, -1, "1", 1.0, True, None), "payload", "info", "subsessionCounter"),
        spoil(SHAPES, "payload", "keyedHistograms", "SUBPROCESS_CRASHES_WITH_DUMP", "gpu"),
        spoil(SHAPES[:6], "payload", "keyedHistograms", "SUBPROCESS_CRASHES_WITH_DUMP"),
        spoil(SHAPES, "payload", "histograms", "GC_MAX_PAUSE_MS_2"),
        spoil(SHAPES, "payload", "processes", "content", "histograms", "GHOST_WINDOWS"),
        spoil(SHAPES[:6], "payload", "histograms"),
        spoil(SHAPES[:6], "payload", "processes"),
    ),
    "crash": (
        *_ENVIRONMENT,
        spoil(PROCESSES, "payload", "processType"),
        lose("payload.processType", "payload.metadata", "payload.crashDate", "payload"),
        spoil(("1", "0", "true", "", " 1", None, 1, True), "payload", "metadata", "StartupCrash"),
        spoil(
            ("ShutDownKill", "ShutDownKill2", "shutdownkill", "", None),
            "payload",
            "metadata",
            "ipc_channel_error",
        ),
        lose("payload.metadata.StartupCrash", "payload.metadata.ipc_channel_error"),
        spoil(("", "soon"), "payload", "crashDate"),
        spoil(({},), "payload", "metadata"),
    ),
    "core": (
        spoil(("iOS", "android", "Linux", "", None), "os"),
        spoil((10**6, 10**9, -60, 1800.5, 2**40, 0, None), "durations"),
        lose("os", "osversion", "arch", "durations", "displayVersion"),
        spoil(("", "8.0-beta"), "osversion"),
    ),
}
