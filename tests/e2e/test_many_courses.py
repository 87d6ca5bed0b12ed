"""Many who ask for courses at once do not stop a server from answering everybody else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from tests.support import judged_train
from tests.support.server import running_server

BAD = judged_train.story(2.0)
PAGE = f"/verdict/Firefox/release/{judged_train.version(BAD)}/main_crashes"
ASKERS = 80


def test_courses_leave_room_for_others(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        written = judged_train.write(BAD, tmp_path / "train", 360)
        server.run("import", "aggregates", str(written.aggregates))
        server.run("import", "releases", str(written.releases))
        (known,) = server.get("/api/v1/releases", version=judged_train.version(BAD)).json()
        published = datetime.fromisoformat(known["published_at"])
        done = threading.Event()
        waits: list[float] = []

        def neighbour() -> None:
            while not done.is_set():
                began = time.monotonic()
                assert httpx.get(f"{server.url}/releases", timeout=60).status_code == 200
                waits.append(time.monotonic() - began)
                done.wait(0.1)

        def ask(number: int) -> httpx.Response:
            as_of = (published + timedelta(minutes=5 * (number // 2 + 60))).strftime("%Y-%m-%dT%H:%M:%SZ")
            return httpx.get(server.url + PAGE, params={"as_of": as_of, "format": "json"}, timeout=120)

        with ThreadPoolExecutor(ASKERS + 1) as pool:
            watched = pool.submit(neighbour)
            answers = list(pool.map(ask, range(ASKERS)))
            done.set()
            watched.result()
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses[200] >= 1 and statuses[503] > ASKERS / 2 and set(statuses) == {200, 503}, statuses
        for answer in answers:
            if answer.status_code == 503:
                assert answer.json()["code"] == "busy" and int(answer.headers["retry-after"]) > 0
        assert max(waits) < 8, waits
