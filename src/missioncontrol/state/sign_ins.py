"""Sign-ins by a provider that have begun: a browser goes away from one server and may come back to another one."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from missioncontrol.state.database import Database, sign_ins
from missioncontrol.state.moments import aware

_MOST = 10_000


class SignIn(msgspec.Struct, frozen=True):
    """A sign-in under way."""

    browser: str
    """Random text that the browser has as a cookie."""
    nonce: str
    verifier: str
    after: str
    """Path to go to when it is done."""
    ends_at: datetime


class SignIns:
    """The sign-ins under way of one installation, bounded. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, sha256: str, sign_in: SignIn, now: datetime) -> None:
        """Keep one under the hash of its state. Those that are over go, and beyond ten thousand the oldest."""
        c = sign_ins.c
        oldest = sa.select(c.sha256).order_by(c.ends_at.desc(), c.sha256).offset(_MOST)
        with self._database.engine().begin() as connection:
            connection.execute(sa.insert(sign_ins).values(sha256=sha256, **msgspec.structs.asdict(sign_in)))
            connection.execute(sa.delete(sign_ins).where(sa.or_(c.ends_at <= now, c.sha256.in_(oldest))))

    def end(self, sha256: str) -> SignIn | None:
        """The sign-in, which is then gone; None when there is none."""
        ended = sa.delete(sign_ins).where(sign_ins.c.sha256 == sha256).returning(sign_ins)
        with self._database.engine().begin() as connection:
            row = connection.execute(ended).first()
        if row is None:
            return None
        return SignIn(row.browser, row.nonce, row.verifier, row.after, aware(row.ends_at))
