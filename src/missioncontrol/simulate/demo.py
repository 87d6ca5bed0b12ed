"""The demonstration: a fleet's past loaded into an installation, and what it shows about its newest release.

A demo owns its data folder: it says so in `demo.json`, and only a folder that says so is ever emptied.
"""

from __future__ import annotations

import shutil
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
from missioncontrol.simulate.stamps import DAY_S, NS
from missioncontrol.simulate.submission import Submission
from missioncontrol.state.releases import Release
from missioncontrol.telemetry.stream import StreamLock

CLIENTS = 4000
DAYS = 4
YOUNG_DAYS = 2
"""Days of the predecessor's youth: what the newest release is compared with at the same age."""
MAIN_PER_1K_HOURS = 8.0
_MARKER = "demo.json"


class DemoData(msgspec.Struct, frozen=True):
    """What a demo's folder says of itself."""

    seed: int
    loaded_ns: int


def claim_folder(data: Path) -> None:
    """Empty a folder that an earlier demo made; refuse one in use, and any other that holds an installation."""
    if (data / _MARKER).exists():
        lock = StreamLock(data)
        if not lock.acquire():
            hint = "Stop it first, or name another folder with --data."
            raise ConfigError("demo_running", f"Another demo is running in {data}.", hint)
        for name in ("log", "lake", "cache", "imports", "state.sqlite", "stream-status.json"):
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


def load_history(services: Services, fleet: Fleet, seed: int, tell: Callable[[str], None]) -> int:
    """Import the last days of the fleet, the first ones of the release that the newest is compared with, and all
    releases; returns the number of pings.
    """
    config: Config = services.config
    (config.data / _MARKER).write_bytes(msgspec.json.encode(DemoData(seed, fleet.now_ns)))
    corpus = config.data / "history.ndjson"
    size = write_corpus(corpus, chain.from_iterable(_history(fleet)), 10_000_000).size_bytes
    tell(f"Loading {DAYS + YOUNG_DAYS} days of {CLIENTS:,} clients ({size / 1e6:,.0f} MB of pings) ...")
    report = services.ping_import().run([corpus])
    corpus.unlink()
    services.releases.put(
        [
            Release(r.application, r.channel, r.version, r.build_id, utc(r.published_ns))
            for r in fleet.releases
        ]
    )
    return report.counted


def _history(fleet: Fleet) -> Iterator[Iterator[Submission]]:
    day_ns = DAY_S * NS
    recent_ns = max(fleet.now_ns - DAYS * day_ns, fleet.earliest_ns)
    if fleet.truth.predecessor is not None:
        published_ns = fleet.truth.predecessor.published_ns
        yield fleet.history(published_ns, min(published_ns + YOUNG_DAYS * day_ns, recent_ns))
    yield fleet.history(recent_ns, fleet.now_ns)
