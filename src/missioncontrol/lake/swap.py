"""Files that take the place of others in one atomic commit, however many writers work beside it.

Whoever reads keeps their files, whoever appends goes on. A process killed before the commit leaves orphans
that vacuum deletes; one killed after it has done its work. Never writes a data file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

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
from missioncontrol.lake.delta import open_table
from missioncontrol.lake.snapshot import FileRef


def swap(
    lake_path: Path,
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
    try:
        for _ in range(attempts):
            try:
                return _swap(lake_path, table, staged, files, data_change)
            except CommitFailedError:
                continue
    except CommitUnsureError:
        raise
    except MissionControlError:
        discard(lake_path, staged)
        raise
    discard(lake_path, staged)
    return False


def _swap(
    lake_path: Path, table: str, staged: Sequence[StagedFile], files: Sequence[FileRef], data_change: bool
) -> bool:
    opened = open_table(lake_path / table)
    if opened is None or not {f.path for f in files} <= set(map(unquote, opened.file_uris())):
        discard(lake_path, staged)
        return False
    actions: list[AddAction | RemoveAction] = [joining(lake_path, file, data_change) for file in staged]
    actions += [leaving(lake_path, table, file, data_change) for file in files]
    transactions = [rewrite(opened)] if staged else [rewrite(opened), removal(opened)]
    write_actions(lake_path / table, opened, actions, transactions)
    return True
