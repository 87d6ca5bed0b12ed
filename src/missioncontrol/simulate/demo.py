"""The demonstration: a fleet's past loaded into an installation, and what it shows about its newest release.

A demo owns its data folder: it says so in `demo.json`, and only a folder that says so is ever emptied.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import msgspec

from missioncontrol.clock import utc
from missioncontrol.config import Config
from missioncontrol.errors import ConfigError
from missioncontrol.services import Services
from missioncontrol.simulate.corpus import write_corpus
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.releases import TRAINS, Regression
from missioncontrol.simulate.reports import Report, all_symbols, reports, write_reports
from missioncontrol.simulate.stamps import DAY_S, NS
from missioncontrol.simulate.submission import Submission
from missioncontrol.state.releases import Release
from missioncontrol.telemetry.stream import StreamLock

CLIENTS = 4000
DAYS = 4
BEFORE_DAYS, YOUNG_DAYS = 1.0, 1.75
"""Of each predecessor: the day before it came, and its youth, which the newest release is compared with."""
REGRESSION = Regression(os_name="Windows_NT", factor=5.0)
MAIN_PER_1K_HOURS = 20.0
REPORTS_SENT = 0.3
"""Of the crashes: many of them make up for few clients, and few reports do not keep one waiting."""
DEMO_TRAINS = tuple(
    msgspec.structs.replace(train, interval_days=7.0)
    if (train.application, train.channel) == (REGRESSION.application, REGRESSION.channel)
    else train
    for train in TRAINS
)
"""The channel with the regression has a release a week, so that there are enough predecessors to learn from."""
_MARKER = "demo.json"


class DemoData(msgspec.Struct, frozen=True):
    """What a demo's folder says of itself."""

    seed: int


def refuse_shared_state(config: Config) -> None:
    """A demo begins anew each time, and never in a database that may be somebody's: raises `ConfigError`."""
    if config.state.url:
        hint = "Take `state.url` out of the settings, and MC_STATE__URL out of the environment, for the demo."
        raise ConfigError("demo_state", "A demo keeps its state in its own folder.", hint)


def claim_folder(data: Path) -> None:
    """Empty a folder that an earlier demo made; refuse one in use, and any other that holds an installation."""
    if (data / _MARKER).exists():
        lock = StreamLock(data)
        if not lock.acquire():
            hint = "Stop it first, or name another folder with --data."
            raise ConfigError("demo_running", f"Another demo is running in {data}.", hint)
        for name in ("log", "lake", "cache", "imports", "blobs", "state.sqlite", "stream-status.json"):
            path = data / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        lock.release()
    elif (data / "lake").exists() or (data / "log").exists():
        hint = "Name another folder with --data, or leave it out: the demo then has a folder of its own."
        raise ConfigError("demo_folder", f"{data} holds an installation that is no demo.", hint)
    data.mkdir(parents=True, exist_ok=True)


def demo_fleet(seed: int, now_ns: int) -> Fleet:
    """The fleet of a demo that begins now."""
    return Fleet(
        seed, CLIENTS, now_ns, trains=DEMO_TRAINS, regression=REGRESSION, main_per_1k_hours=MAIN_PER_1K_HOURS
    )


def load_history(services: Services, fleet: Fleet, seed: int, tell: Callable[[str], None]) -> int:
    """Import the last days of the fleet, its predecessors' youth, crash reports with symbols, and all releases.

    Returns the number of pings. Crash reports are queued, for whoever processes them.
    """
    config: Config = services.config
    (config.data / _MARKER).write_bytes(msgspec.json.encode(DemoData(seed)))
    services.releases.put(
        [
            Release(r.application, r.channel, r.display_version, r.build_id, utc(r.published_ns))
            for r in fleet.releases
        ]
    )
    worse = fleet.truth.worse
    assert worse is not None
    corpus = config.data / "history.ndjson"
    size = write_corpus(corpus, chain.from_iterable(_history(fleet)), 10_000_000).size_bytes
    tell(f"Loading {len(_youths(fleet))} releases of {CLIENTS:,} clients ({size / 1e6:,.0f} MB of pings) ...")
    report = services.ping_import().run([corpus])
    corpus.unlink()
    _load_crashes(services, fleet, worse.channel, tell)
    return report.counted


def _load_crashes(services: Services, fleet: Fleet, channel: str, tell: Callable[[str], None]) -> None:
    for module, text in all_symbols(fleet, [channel]):
        services.symbols.add(io.BytesIO(text), f"{module.debug_file}.sym")
    crashes = (
        crash
        for start_ns, end_ns in _youths(fleet)
        for crash in fleet.main_crashes(start_ns, end_ns)
        if crash.release.channel == channel
    )
    with tempfile.TemporaryDirectory(prefix="crashes-", dir=services.config.data) as folder:
        count = write_reports(Path(folder), reports(fleet, crashes, REPORTS_SENT))
        services.crash_import().run([Path(folder)])
    tell(f"{count:,} crash reports are queued, and get their signatures ...")


def live_reports(fleet: Fleet, start_ns: int, rate_per_s: float) -> Iterator[tuple[int, Report]]:
    """The crash reports of live traffic at that many pings a second, each with when it is due (ns), without end.

    They are of the channel whose symbols are there, as those of the past are.
    """
    worse = fleet.truth.worse
    assert worse is not None
    for crash in fleet.live_main_crashes(start_ns, rate_per_s):
        if crash.release.channel == worse.channel:
            for report in reports(fleet, [crash], REPORTS_SENT):
                yield crash.received_ns, report


def _history(fleet: Fleet) -> Iterator[Iterator[Submission]]:
    worse = fleet.truth.worse
    assert worse is not None
    *before, recent = _youths(fleet)
    for start_ns, end_ns in before:
        yield (ping for ping in fleet.history(start_ns, end_ns) if ping.channel == worse.channel)
    yield fleet.history(*recent)


def _youths(fleet: Fleet) -> list[tuple[int, int]]:
    """Stretches of time (ns), oldest first: of each predecessor's youth, and the last days."""
    worse = fleet.truth.worse
    assert worse is not None
    day_ns = DAY_S * NS
    recent_ns = max(fleet.now_ns - DAYS * day_ns, fleet.earliest_ns)
    spans = []
    for release in fleet.releases:
        if (release.application, release.channel) == (worse.application, worse.channel) and release != worse:
            start_ns = max(int(release.published_ns - BEFORE_DAYS * day_ns), fleet.earliest_ns)
            end_ns = min(int(release.published_ns + YOUNG_DAYS * day_ns), recent_ns)
            if start_ns < end_ns:
                spans.append((start_ns, end_ns))
    return [*spans, (recent_ns, fleet.now_ns)]
