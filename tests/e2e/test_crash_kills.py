"""A collector that is killed while many reports arrive: whatever got its id is there, whole and queued."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.server import RunningServer

from missioncontrol.blobs.crash_keys import BUNDLES, MINIDUMP, dump_key
from missioncontrol.blobs.crash_objects import read_raw_crash
from missioncontrol.config import load_config
from missioncontrol.services import Services

KILLS = 3
AT_ONCE = 12


class Sender:
    """Sends reports of its own until it is told to stop; those that got an id, by it."""

    def __init__(self, server: RunningServer) -> None:
        self.server, self.over = server, threading.Event()
        self.answered: dict[str, bytes] = {}

    def run(self, number: int) -> None:
        rng = random.Random(number)
        while not self.over.is_set():
            # Large ones have files of their own.
            dump = rng.randbytes(1_200_000 if rng.random() < 0.05 else rng.randrange(1, 150_000))
            with contextlib.suppress(httpx.HTTPError):
                answer = send(self.server.url, whole(dump))
                if answer.status_code == 200:
                    self.answered[answer.text.removeprefix("CrashID=bp-").strip()] = dump
            if not self.server.process or self.server.process.poll() is not None:
                time.sleep(0.01)


def whole(dump: bytes) -> bytes:
    return report({**ANNOTATIONS, "n": dump[:16].hex()}, upload_file_minidump=dump)


def test_what_got_its_id_is_there_after_kills(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {"MC_JOBS__DAILY": "false"})
    server.only = "edge"
    server.start()
    sender = Sender(server)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number in range(AT_ONCE):
                pool.submit(sender.run, number + int.from_bytes(os.urandom(4), "big"))
            try:
                for _ in range(KILLS):
                    before = len(sender.answered)
                    server.wait_until(lambda before=before: len(sender.answered) > before + 60, 60)
                    server.kill()
                    server.start()
            finally:
                sender.over.set()
        services = Services(load_config(server.data))
        try:
            now = datetime.now(UTC)
            for crash_id, dump in sender.answered.items():
                assert services.blobs.get(dump_key(crash_id, MINIDUMP)) == dump
                assert read_raw_crash(services.blobs, crash_id)["uuid"] == crash_id
                assert services.crash_queue.entry(crash_id, now) is not None
            listed = [key for key in services.blobs.list("dump/") if services.blobs.exists(key)]
            assert len(listed) >= len(sender.answered)
            bundles = list(services.blobs.list(f"{BUNDLES}/"))
            assert len(bundles) < len(sender.answered), "some came together"
        finally:
            services.close()
        known = list(sender.answered.items())[:: max(1, len(sender.answered) // 20)]
        for crash_id, dump in known:
            assert crash_id in send(server.url, whole(dump)).text, "a resend is known"
    finally:
        server.stop()
