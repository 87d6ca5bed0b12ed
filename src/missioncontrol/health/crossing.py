"""A `worse` that stays while today's interval holds 1 again: what was seen when it was first given, and what is now.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from missioncontrol.health.model import Account, Crossing, Explanation, Look, SliceLook


def guilty_of(account: Account) -> Explanation | None:
    """The users that are worse, when it is not everyone."""
    best = account.explanations[0] if account.explanations else None
    return best if best and best.where and account.look.slice else None


def now_of(account: Account) -> Look | SliceLook | Explanation:
    """What is seen at the account's look of those who were found worse; explanations are of the time of the alarm."""
    guilty = guilty_of(account)
    if guilty is None:
        return account.look
    return next((one for one in account.slices if one.where == guilty.where), guilty)


def doubted(account: Account) -> bool:
    """Whether it is worse from an earlier look, and an interval that would be shown of it holds 1."""
    look = account.look
    if look.verdict != "worse" or look.since is None or look.since == look.as_of:
        return False
    return _holds_one(now_of(account)) or _holds_one(guilty_of(account) or look)


def crossing_of(account: Account, then: Look | Account) -> Crossing | None:
    """What was seen at the look (or its account) at which `account` was first worse; None where it is not of that.

    Of some users only an account tells.
    """
    look = then if isinstance(then, Look) else then.look
    if look.as_of != account.look.since:
        return None
    guilty = guilty_of(account)
    of: Look | Explanation | None = look
    if guilty is not None:
        of = guilty_of(then) if isinstance(then, Account) else None
        if of is None or of.where != guilty.where:
            return None
    if of is None or of.ratio is None or of.low is None or of.high is None:
        return None
    return Crossing(of.ratio, of.low, of.high)


def with_crossing(account: Account, looks: Iterable[Look]) -> Account:
    """The account with what was seen when it was first worse, where that is doubted now and one of the looks tells."""
    if not doubted(account) or account.crossed is not msgspec.UNSET:
        return account
    found = (crossing_of(account, look) for look in looks if look.as_of == account.look.since)
    crossed = next((one for one in found if one is not None), None)
    return account if crossed is None else msgspec.structs.replace(account, crossed=crossed)


def _holds_one(of: Look | SliceLook | Explanation) -> bool:
    return of.low is not None and of.high is not None and of.low <= 1 <= of.high
