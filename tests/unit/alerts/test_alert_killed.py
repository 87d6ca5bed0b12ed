"""Whoever delivers may be killed at any moment: nothing is lost, and what is sent twice has one id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import NOW, Installation
from tests.support.receivers import http_receiver

SOURCES = Path(__file__).parents[3] / "src"
DELIVER = """
import sys
from datetime import datetime
from missioncontrol.config import load_config
from missioncontrol.services import Services

Services(load_config(sys.argv[1])).alert_deliverer.turn(datetime.fromisoformat(sys.argv[2]))
"""


def deliver(installation: Installation) -> subprocess.Popen[bytes]:
    """A turn in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", DELIVER, str(installation.folder), installation.now.isoformat()],
        env={**os.environ, "PYTHONPATH": str(SOURCES), "MC_STATE__URL": installation.state_setting},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("kills", [1, 3])
def test_killed_between_sending_and_noting_it_is_sent_again_under_the_same_id(
    installation: Installation, kills: int
) -> None:
    with http_receiver([*["hang"] * kills, 200]) as receiver:
        secret = installation.channel("ops", receiver.url).secret
        installation.judge("too-early", "worse")
        for number in range(1, kills + 1):
            process = deliver(installation)
            ends = time.monotonic() + 60
            while len(receiver.got) < number:
                assert process.poll() is None and time.monotonic() < ends
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)  # the message is there, and nobody has noted it
            process.wait()
        assert installation.statuses() == ["waiting"]
        assert deliver(installation).wait(60) == 0
        assert deliver(installation).wait(60) == 0
    assert len(receiver.got) == kills + 1
    assert len({g.headers["x-missioncontrol-delivery"] for g in receiver.got}) == 1
    assert len({g.body for g in receiver.got}) == 1 and all(g.signed_by(secret) for g in receiver.got)
    assert installation.statuses() == ["sent"]


def test_killed_after_a_refusal_the_owner_is_told_once(installation: Installation) -> None:
    """As if the kill came after each of the steps that follow a refusal."""
    with http_receiver([404]) as receiver, http_receiver() as second:
        installation.channel("broken", receiver.url)
        installation.channel("second", second.url, severity="critical")
        installation.judge("too-early", "better")
        deliverer, (telling,) = installation.deliverer, installation.log.waiting(NOW)
        deliverer._bundle([telling], NOW)
        (delivery,) = installation.log.due(NOW, 10)
        broken = installation.channels.get("broken")
        deliverer._tell_owner(broken, delivery, "404", NOW)  # killed here: it goes on from the start
        for _ in range(3):
            installation.turn()
            installation.pass_time(minutes=1)
    assert [g.content["kind"] for g in second.got] == ["notice"]
    assert installation.channels.get("broken").state == "broken"
