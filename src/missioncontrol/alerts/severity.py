"""How much a change of verdict matters, and to whom it goes: pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from missioncontrol.state.alert_channels import AlertRule, Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
MEANINGS: dict[Severity, str] = {
    "critical": "a release became worse",
    "warning": "it is worse no longer, or better; or its data or its surroundings cannot be judged",
    "info": "it became as good as its predecessors",
}
_OF_VERDICT: dict[str, Severity] = {
    "worse": "critical",
    "better": "warning",
    "environment": "warning",
    "data-problem": "warning",
    "same": "info",
}


def severity_of(before: str, verdict: str) -> Severity | Literal[""]:
    """Of a change from one verdict to another; empty: nobody is told. `before` empty: it is the first."""
    if before == verdict:
        return ""
    if before == "worse":
        return "warning"
    return _OF_VERDICT.get(verdict, "")


def reaches(severity: str, least: str) -> bool:
    """Whether a change of this severity matters to those who asked for at least the other; "none": to nobody."""
    order: tuple[str, ...] = SEVERITIES
    return severity in order and least in order and order.index(severity) <= order.index(least)


def channels_for(
    application: str, release_channel: str, measure: str, severity: str, rules: Iterable[AlertRule]
) -> set[int]:
    """Ids of the alert channels whose rules ask for the change."""
    return {
        rule.channel_id
        for rule in rules
        if rule.application in ("", application)
        and rule.release_channel in ("", release_channel)
        and rule.measure in ("", measure)
        and reaches(severity, rule.severity)
    }
