"""The last transaction of each application on a table, followed from version to version.

To look one up reads the whole log of the table, about a ms each; a topic has hundreds of partitions, each with an
application of its own. So what was looked up is kept, and brought up to date by what was committed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from deltalake import DeltaTable

from missioncontrol.config import LakePlace
from missioncontrol.lake.delta import last_transaction
from missioncontrol.lake.place import read_commit

_MOST_COMMITS = 50
"""After more than these all is looked up anew."""


class _Transaction(msgspec.Struct, rename="camel"):
    app_id: str
    version: int


class _Action(msgspec.Struct):
    txn: _Transaction | None = None


_actions = msgspec.json.Decoder(_Action)


class Transactions:
    """Of one table. Not thread-safe."""

    def __init__(self, place: LakePlace, table: str) -> None:
        self._place, self._table = place, table
        self._version = -1
        self._found: dict[str, int] = {}

    def last(self, opened: DeltaTable, apps: Sequence[str]) -> list[int]:
        """The version of each application's last one in the open table; 0 if there was none. Raises `StorageError`."""
        self._follow(opened.version())
        for app in apps:
            if app not in self._found:
                self._found[app] = last_transaction(opened, app)
        return [self._found[app] for app in apps]

    def _follow(self, version: int) -> None:
        if version == self._version:
            return
        found = dict(self._found) if 0 < version - self._version <= _MOST_COMMITS else {}
        for number in range(self._version + 1, version + 1) if found else ():
            commit = read_commit(self._place, self._table, number)
            if commit is None:  # the log was cleaned past it
                found = {}
                break
            found.update((app, at) for app, at in _transactions(commit) if app in found)
        self._version, self._found = version, found


def _transactions(commit: bytes) -> Iterator[tuple[str, int]]:
    for line in commit.splitlines():
        if b'"txn"' in line:
            txn = _actions.decode(line).txn
            if txn is not None:
                yield txn.app_id, txn.version
