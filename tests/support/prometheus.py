"""A real Prometheus under the operator's example settings, asked by its API."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
from deploy.local.fetch import ROOT
from deploy.local.process import Server

FOLDER = ROOT / "deploy" / "prometheus"


class Prometheus(Server):
    """Scrapes one server of ours as edge and as web server, every second."""

    name = "Prometheus"

    def __init__(self, folder: Path, port: int, target: str) -> None:
        super().__init__(folder, port)
        self._target = target

    def create(self) -> None:
        """The settings of `deploy/prometheus` with this target, and shorter pauses."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / "alerts.yml", self.folder)
        settings = (FOLDER / "prometheus.yml").read_text()
        settings = re.sub(r"targets: \[.*\]", f'targets: ["{self._target}"]', settings)
        (self.folder / "prometheus.yml").write_text(re.sub(r"(interval|timeout): \d+s", r"\1: 1s", settings))

    def command(self) -> list[str]:
        """It keeps its data in its folder."""
        return [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, what: str, **parameters: str) -> Any:
        """What its API answers."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def alerts(self) -> set[str]:
        """Names of the alerts that are pending or firing."""
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}

    def wait_for(self, *alerts: str) -> None:
        """Wait until these are pending or firing."""
        ends = time.monotonic() + self.start_s
        while not self.alerts() >= set(alerts):
            assert time.monotonic() < ends, f"of {alerts} only {self.alerts()}"
            time.sleep(0.2)
