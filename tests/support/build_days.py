"""A nightly channel and an experiment as rows of the lake, with known ratios: bursts of crashes, a build every day.

rows = nightly_rows(end, days=20, ratios={0: 3.0})      # the newest day's builds crash three times as often
rows = experiment_rows(end, {"control": 1.0, "treatment": 2.0})
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
SYSTEMS = {"Windows_NT": 0.7, "Darwin": 0.2, "Linux": 0.1}
RATE = 0.02
"""Crashes per usage hour."""


def nightly_rows(
    end: datetime,
    days: int = 20,
    ratios: Mapping[int, float] | None = None,
    hours_a_day: float = 40_000.0,
    missing: Iterable[int] = (),
    seed: int = 1,
    **fixed: Any,
) -> list[Row]:
    """A build at 10:00 of each day (of the day so many days ago, unless `missing`), used for three days."""
    rng, made = np.random.default_rng(seed), []
    for ago in set(range(days)) - set(missing):
        built = (end - timedelta(days=ago)).replace(hour=10, minute=0, second=0, microsecond=0)
        usual = float(np.exp(rng.normal(0, 0.04)))
        for age in range(3, 72):
            start = built + timedelta(hours=age)
            if start + timedelta(minutes=5) > end:
                break
            use = hours_a_day / 24 * min(1.0, age / 12) * (1.0 if age < 30 else 0.25)
            for system, share in SYSTEMS.items():
                crashes = _bursts(rng, use * share * RATE * usual * (ratios or {}).get(ago, 1.0))
                row = {
                    "application": "Firefox", "channel": "nightly", "version": "150.0a1",
                    "build_id": f"{built:%Y%m%d%H%M%S}", "os_name": system, "window_start": start,
                    "usage_hours": round(use * share * rng.uniform(0.9, 1.1), 3), "main_crashes": crashes,
                    "count": int(use * share * 2) + 1,
                }  # fmt: skip
                made.append({**row, **fixed})
    return made


def experiment_rows(
    end: datetime, ratios: Mapping[str, float], days: int = 6, hours_a_day: float = 20_000.0, seed: int = 2,
    name: str = "pref-flip-tabs", **fixed: Any,
) -> list[Row]:  # fmt: skip
    """Branches of equal size, the last listed of which crash by their ratios as often."""
    rng, made = np.random.default_rng(seed), []
    for hour in range(days * 24, 0, -1):
        start = (end - timedelta(hours=hour)).replace(minute=0, second=0, microsecond=0)
        for branch, ratio in ratios.items():
            for system, share in SYSTEMS.items():
                for country, part in (("DE", 0.4), ("US", 0.4), ("FR", 0.2)):
                    use = hours_a_day / 24 * share * part * rng.uniform(0.9, 1.1)
                    row = {
                        "application": "Firefox", "channel": "beta", "version": "149.0", "os_name": system,
                        "country": country, "experiment_id": name, "experiment_branch": branch,
                        "window_start": start, "usage_hours": round(use, 3), "count": int(use * 2) + 1,
                        "main_crashes": _bursts(rng, use * RATE * ratio), "content_crashes": _bursts(rng, use * RATE),
                    }  # fmt: skip
                    made.append({**row, **fixed})
    return made


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """As a file for `import aggregates`."""
    with path.open("w") as file:
        for row in rows:
            file.write(
                json.dumps({**row, "window_start": f"{row['window_start']:%Y-%m-%dT%H:%M:%SZ}"}) + "\n"
            )
    return path


def _bursts(rng: np.random.Generator, expected: float) -> int:
    """Events that come in bursts of 1.5 on average."""
    causes = int(rng.poisson(expected / 1.5))
    return causes + int(rng.negative_binomial(causes, 1 / 1.5)) if causes else 0
