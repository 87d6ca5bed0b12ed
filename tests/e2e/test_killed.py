"""Killed with -9 at any moment, under load: what was answered 200 is in the lake, once, and nothing else is counted.

The client is the judge: it records which document ids were answered, and sends those that were not again, as real
clients do. Kills hit the server with all its children, the stream alone, or the server alone.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.support.judging_clients import Load, Sent, check, ends, kill_tree, one, stream_of
from tests.support.server import running_server

KILLS = 20
SEED = 20261122


def test_nothing_acknowledged_is_lost_or_counted_twice_by_twenty_kills_of_everything(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    with running_server(
        tmp_path, MC_LAKE__COMPACT_INTERVAL_S="1", MC_STREAM__TRIM_INTERVAL_S="0.5"
    ) as server:
        load = Load(server.port)
        load.start()
        try:
            for _ in range(KILLS):
                time.sleep(moments.uniform(0.0, 1.2))
                kill_tree(server)
                server.start()
        finally:
            load.stop()
        server.settle()
        assert set(load.statuses) == {200}
        assert all(d.answered for d in load.documents)
        assert any(d.sent > 1 for d in load.documents), "no kill ever cut a request off"
        check(server, load.documents)
        assert "Traceback" not in server.talk


def test_unanswered_documents_that_are_never_sent_again_are_counted_once_or_not_at_all(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path) as server:
        load = Load(server.port)
        load._again = _Forgetful()
        load.start()
        try:
            for pause_s in (0.7, 0.9):
                time.sleep(pause_s)
                kill_tree(server)
                server.start()
        finally:
            load.stop()
        server.settle()
        assert not all(d.answered for d in load.documents)
        check(server, load.documents)


class _Forgetful(list[Sent]):
    """Of a client that sends nothing again."""

    def append(self, item: Sent) -> None:
        pass


def test_a_killed_stream_is_started_again_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        load = Load(server.port)
        load.start()
        try:
            for _ in range(3):
                before = stream_of(server)
                time.sleep(0.6)
                os.kill(before, signal.SIGKILL)
                server.wait_until(lambda before=before: stream_of(server) != before)  # type: ignore[misc]
        finally:
            load.stop()
        server.wait_until(lambda: len(load.documents) == one(server, "SELECT count(*) AS n FROM pings")["n"])
        assert set(load.statuses) == {200}
        assert all(d.sent == 1 for d in load.documents), "a kill of the stream must not disturb clients"
        check(server, load.documents)


def test_the_stream_ends_by_itself_when_its_server_is_killed_and_the_port_is_free(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        load = Load(server.port)
        load.start()
        try:
            for _ in range(3):
                stream = stream_of(server)
                time.sleep(0.4)
                server.kill()
                port = server.port
                assert ends(stream)
                server.start()
                assert server.port == port
        finally:
            load.stop()
        server.settle()
        check(server, load.documents)
        last = stream_of(server)
        server.stop()
        assert ends(last, 1.0)


def test_the_next_server_starts_at_once_while_the_stream_of_the_killed_one_still_ends(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        load = Load(server.port)
        load.start()
        try:
            for _ in range(3):
                time.sleep(0.5)
                server.kill()
                server.start()
        finally:
            load.stop()
        server.settle()
        check(server, load.documents)
