"""The verdict as a sentence for a release manager: plain words, and no digit that is not meant."""

from __future__ import annotations

from missioncontrol.health.model import Account


def sentence(account: Account, measure: str) -> str:
    """One sentence on a look. measure: the measure's title."""
    look = account.look
    return f"{account.subject.version} {measure.lower()}: {look.verdict}."
