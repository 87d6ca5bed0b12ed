"""Files that take the place of others in one atomic commit, however many writers work beside it.

Whoever reads keeps their files, whoever appends goes on. A process killed before the commit leaves orphans
that vacuum deletes; one killed after it has done its work. Never writes a data file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.config import LakePlace
from missioncontrol.errors import MissionControlError
from missioncontrol.lake.actions import (
    CommitUnsureError,
    StagedFile,
    discard,
    joining,
    leaving,
    removal,
    rewrite,
    write_actions,
)
from missioncontrol.lake.delta import named_files, open_table
from missioncontrol.lake.place import place_of, relative
from missioncontrol.lake.snapshot import FileRef


def swap(
    lake: LakePlace | Path,
    table: str,
    staged: Sequence[StagedFile],
    files: Sequence[FileRef],
    data_change: bool = False,
    attempts: int = 1,
) -> bool:
    """Put the staged files (none: nothing) in the place of the files, in one commit.

    False when another commit was faster `attempts` times, or has taken one of the files away: nothing has
    changed then, and the staged files are deleted, as they are after `StorageFull` and `StorageError`.
    After `CommitUnsureError` they are left to vacuum.
    """
    place = place_of(lake)
    try:
        for _ in range(attempts):
            try:
                return _swap(place, table, staged, files, data_change)
            except CommitFailedError:
                continue
    except CommitUnsureError:
        raise
    except MissionControlError:
        discard(place, staged)
        raise
    discard(place, staged)
    return False


def _swap(
    place: LakePlace, table: str, staged: Sequence[StagedFile], files: Sequence[FileRef], data_change: bool
) -> bool:
    opened = open_table(place, table)
    leave = {relative(place, table, f.path) for f in files}
    if opened is None or not leave <= named_files(place, table, opened):
        discard(place, staged)
        return False
    actions: list[AddAction | RemoveAction] = [joining(place, file, data_change) for file in staged]
    actions += [leaving(place, table, file, data_change) for file in files]
    transactions = [rewrite(opened)] if staged else [rewrite(opened), removal(opened)]
    write_actions(place, table, opened, actions, transactions)
    return True
