"""A publisher that is killed as `kill -9` does, in the middle of the COPY of a day: DATA DSN AFTER_ROWS."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from missioncontrol.config import load_config
from missioncontrol.lake.publishing.days import DayRange
from missioncontrol.lake.publishing.report import Step
from missioncontrol.services import Services

data, dsn, after_rows = sys.argv[1:]


def die(step: Step) -> None:
    if step.rows >= int(after_rows):
        os.kill(os.getpid(), signal.SIGKILL)


services = Services(load_config(Path(data)))
services.publisher(dsn, "public", ["crash_aggregates"]).run(DayRange(), progress=die)
