"""Changes of verdicts as judging gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from missioncontrol.health.model import Account, Change, DataHealth, Look, SignatureShare, Subject

PUBLISHED = datetime(2026, 11, 26, 0, 0, tzinfo=UTC)
SUBJECT = Subject("Firefox", "release", "61.0", "main_crashes")
SENTENCE = "Firefox 61.0 crashes 1.8 times as often as its predecessors did at the same age, on Linux."


def look(verdict: str, as_of: datetime) -> Look:
    return Look(
        as_of=as_of,
        age_hours=(as_of - PUBLISHED) / timedelta(hours=1),
        verdict=verdict,
        ratio=1.8,
        low=1.4,
        high=2.3,
        evidence=2.6,
        observed=1234,
        expected=685.5,
        slice={"os_name": "Linux"} if verdict == "worse" else None,
    )


def change(
    before: str | None, verdict: str, as_of: datetime, subject: Subject = SUBJECT, sentence: str = SENTENCE
) -> Change:
    account = Account(
        subject=subject,
        published_at=PUBLISHED,
        inferred=False,
        look=look(verdict, as_of),
        sentence=sentence,
        steps=[],
        slices=[],
        explanations=[],
        ages=[],
        predecessors=[],
        data=DataHealth(1.0, 0.0, None, 1.0, 1.0, 0.05),
        baseline="b",
        signatures=[SignatureShare("mozalloc_abort", 400, 31.5), SignatureShare("fine", 2, 9)],
    )
    return Change(look(before, as_of - timedelta(minutes=5)) if before else None, account)
