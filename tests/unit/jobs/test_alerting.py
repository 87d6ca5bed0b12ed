"""The part that delivers alerts costs nothing where nobody is told, and runs once an installation."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.verdict_changes import PUBLISHED, change

from missioncontrol.config import Config
from missioncontrol.jobs.alerting import Alerting
from missioncontrol.services import Services

SOURCES = Path(__file__).parents[3] / "src"
IDLE = """
import sys
from pathlib import Path
from missioncontrol.config import Config
from missioncontrol.jobs.alerting import Alerting
from missioncontrol.services import Services

Alerting(Services(Config(data=Path(sys.argv[1]))))._turn()
print(*[name for name in ("smtplib", "httpx2", "missioncontrol.alerts.delivery", "numpy") if name in sys.modules])
"""


def test_without_a_channel_nothing_that_sends_is_loaded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IDLE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == []


def test_two_of_them_tell_once_and_the_second_takes_over(tmp_path: Path) -> None:
    services = [Services(Config(data=tmp_path)) for _ in range(2)]
    stops = [threading.Event() for _ in services]
    with http_receiver() as receiver:
        services[0].alert_setup.add("ops", "webhook", receiver.url, "ada", "", None, PUBLISHED)
        services[0].alert_setup.add_rule("ops", "", "", "", "info")
        services[0].alerts.take([change("too-early", "worse", PUBLISHED)], PUBLISHED)
        threads = [
            threading.Thread(target=Alerting(s).run, args=(stop,), daemon=True)
            for s, stop in zip(services, stops, strict=True)
        ]
        for thread in threads:
            thread.start()
        received(receiver, 1)
        stops[0].set()
        threads[0].join(30)
        services[1].alerts.take([change("worse", "same", PUBLISHED.replace(hour=1))], PUBLISHED)
        received(receiver, 2)
        stops[1].set()
        threads[1].join(30)
    assert [g.content["alerts"][0]["verdict"] for g in receiver.got] == ["worse", "same"]


def received(receiver: HttpReceiver, number: int) -> None:
    ends = time.monotonic() + 60
    while len(receiver.got) < number:
        assert time.monotonic() < ends
        time.sleep(0.05)
