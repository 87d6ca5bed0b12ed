"""Which bugs signatures have: said by people, whatever the product, and kept until somebody takes it back."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database, signature_bugs
from missioncontrol.state.moments import aware

LONGEST_SIGNATURE = 1000
LONGEST_TITLE = 300
_LONGEST_WHO = 200
_AT_ONCE = 10_000


class SignatureBug(msgspec.Struct, frozen=True):
    """A bug of a signature."""

    id: int
    """Of this link, not of the bug."""
    signature: str
    tracker: str
    """Name of the tracker in the settings; empty: `bug` is an address."""
    bug: str
    title: str
    who: str
    added_at: datetime


class SignatureBugs:
    """The links of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, signature: str, tracker: str, bug: str, title: str, who: str, now: datetime
    ) -> SignatureBug:
        """Link a bug to a signature; once more changes nothing but the title, where one is given.

        A new link without a title takes that of the bug's other links.
        Raises `BadRequest` (`bad_signature`, `bad_title`).
        """
        signature, title = _checked(signature, title)
        one = _same(signature, tracker, bug)
        values = {"signature": signature, "tracker": tracker, "bug": bug, "title": title}
        try:
            with self._database.engine().begin() as connection:
                if not connection.execute(sa.select(signature_bugs.c.id).where(one)).first():
                    row = {**values, "who": who[:_LONGEST_WHO], "added_at": now}
                    row["title"] = title or connection.execute(_title_of(tracker, bug)).scalar() or ""
                    connection.execute(sa.insert(signature_bugs).values(row))
                elif title:
                    connection.execute(sa.update(signature_bugs).where(one).values(title=title))
        except sa.exc.IntegrityError:
            pass  # somebody else linked it in the same moment
        found = self._found(one)
        if not found:
            raise NotFound("unknown_link", "The link was taken away in the same moment.", "Add it again.")
        return found[0]

    def remove(self, link_id: int) -> SignatureBug:
        """Take a link away; gives what it was. Raises `NotFound` (`unknown_link`)."""
        found = self._found(signature_bugs.c.id == link_id) if 0 < link_id < 2**31 else []
        if not found:
            hint = "`missioncontrol crash bug list --json` and GET /api/v1/signature-bugs have the ids."
            raise NotFound("unknown_link", f"There is no link {link_id} of a signature and a bug.", hint)
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(signature_bugs).where(signature_bugs.c.id == link_id))
        return found[0]

    def find(self, signature: str, tracker: str, bug: str) -> SignatureBug | None:
        """The link of this signature and this bug."""
        return next(iter(self._found(_same(signature.strip(), tracker, bug))), None)

    def list(self, limit: int = _AT_ONCE) -> builtins.list[SignatureBug]:
        """All links, by signature, as they were made."""
        return self._found(sa.true(), limit)

    def of_signatures(self, signatures: Sequence[str]) -> builtins.list[SignatureBug]:
        """The links of these signatures."""
        return self._found(signature_bugs.c.signature.in_(signatures[:_AT_ONCE])) if signatures else []

    def of_bugs(self, bugs: Sequence[str]) -> builtins.list[SignatureBug]:
        """The links of these bugs (ids as their trackers have them, or addresses), whichever tracker's they are."""
        return self._found(signature_bugs.c.bug.in_(bugs[:_AT_ONCE])) if bugs else []

    def related(self, signatures: Sequence[str]) -> builtins.list[SignatureBug]:
        """The links of all signatures that share a bug with one of these, these included."""
        if not signatures:
            return []
        theirs = signature_bugs.alias()
        shared = sa.exists().where(
            theirs.c.signature.in_(signatures[:_AT_ONCE]),
            theirs.c.bug == signature_bugs.c.bug,
            theirs.c.tracker == signature_bugs.c.tracker,
        )
        return self._found(shared)

    def _found(self, which: sa.ColumnElement[bool], limit: int | None = None) -> builtins.list[SignatureBug]:
        order = (signature_bugs.c.signature, signature_bugs.c.id)
        query = sa.select(signature_bugs).where(which).order_by(*order).limit(limit)
        with self._database.engine().connect() as connection:
            return [_link(row) for row in connection.execute(query)]


def _same(signature: str, tracker: str, bug: str) -> sa.ColumnElement[bool]:
    c = signature_bugs.c
    return sa.and_(c.signature == signature, c.tracker == tracker, c.bug == bug)


def _title_of(tracker: str, bug: str) -> sa.Select[tuple[str]]:
    c = signature_bugs.c
    named = sa.and_(c.tracker == tracker, c.bug == bug, c.title != "")
    return sa.select(c.title).where(named).order_by(c.id.desc()).limit(1)


def _checked(signature: str, title: str) -> tuple[str, str]:
    signature, title = signature.strip(), " ".join(title.split())
    if not signature or len(signature) > LONGEST_SIGNATURE or not signature.isprintable():
        hint = f"Printable text of 1 to {LONGEST_SIGNATURE:,} characters."
        raise BadRequest("bad_signature", f"{signature[:80]!r} is no signature.", hint)
    if len(title) > LONGEST_TITLE or not title.isprintable():
        hint = f"Printable text of at most {LONGEST_TITLE} characters."
        raise BadRequest("bad_title", f"{title[:80]!r} cannot be a title.", hint)
    return signature, title


def _link(row: sa.Row[Any]) -> SignatureBug:
    return SignatureBug(row.id, row.signature, row.tracker, row.bug, row.title, row.who, aware(row.added_at))
