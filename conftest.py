"""`pytest --scaled [--spark]`: the same tests, of the scaled form (`tests/support/form.py`); and the order of tests."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from tests.support import form

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption(
        "--scaled",
        action="store_true",
        help="log on Kafka, lake and blobs on S3, state on PostgreSQL (needs what make scale-up needs)",
    )
    parser.addoption(
        "--spark",
        action="store_true",
        help="with --scaled: topics of several partitions, and the stream on Spark",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers."""
    # Workers of xdist inherit the environment: all share the servers of the process that started them.
    if config.getoption("--scaled") and not config.option.collectonly and not hasattr(config, "workerinput"):
        servers = ExitStack()
        config.add_cleanup(servers.close)
        folder = servers.enter_context(tempfile.TemporaryDirectory(prefix="missioncontrol-scaled-"))
        servers.enter_context(form.scaled_servers(Path(folder), config.getoption("--spark")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is only so in the embedded form. Begin with browsers, whose fleet is of the hour in which tests are
    collected, then files that take minutes, so that no worker ends alone."""
    order = {"browser": 0, "scale": 1}
    items.sort(key=lambda item: min((order[part] for part in item.path.parts if part in order), default=2))
    for item in items if form.scaled() else ():
        if mark := item.get_closest_marker("embedded_only"):
            item.add_marker(pytest.mark.skip(reason=f"embedded only: {mark.args[0]}"))
