"""Which crash signatures carry the excess of a release: its crash reports against its predecessors' at the same age."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from missioncontrol.health.model import Account, SignatureShare
from missioncontrol.health.published import Version, tick_of
from missioncontrol.health.sums import ChannelSums
from missioncontrol.query.engine import Engine
from missioncontrol.query.signature_excess import Stretch, signature_counts, signature_excess

_MOST = 8
_CRASHES = ("crash", "crash_report")
_PROCESSES: dict[str, tuple[str, ...]] = {
    "main": ("parent", "browser", "main"),
    "startup": ("parent", "browser", "main"),
    "content": ("content", "renderer"),
    "gpu": ("gpu", "gpu-process"),
    "plugin": ("plugin", "ppapi"),
    "gmplugin": ("gmplugin",),
}
"""First word of a measure's name -> what its processes are called in crash reports; others: all of them."""


def with_signatures(engine: Engine, sums: ChannelSums, account: Account) -> Account:
    """The account with the signatures of which there are too many, if it is worse and the measure counts crashes.

    Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
    """
    subject, look = account.subject, account.look
    measure = sums.measures[subject.measure]
    if look.verdict != "worse" or measure.group not in _CRASHES:
        return account
    used = [sums.version(each.version) for each in account.predecessors if each.used]
    stretches = [_stretch(sums, each, look.age_hours) for each in (sums.version(subject.version), *used)]
    processes = _PROCESSES.get(subject.measure.partition("_")[0], ())
    counts = signature_counts(engine, subject.application, subject.channel, stretches, processes)
    found = [
        SignatureShare(each.signature, round(each.observed, 3), float(f"{each.expected:.4g}"))
        for each in signature_excess(counts, stretches)
        if each.excess > 0
    ]
    return msgspec.structs.replace(account, signatures=found[:_MOST])


def _stretch(sums: ChannelSums, version: Version, age_hours: float) -> Stretch:
    end = version.published_at + timedelta(hours=age_hours)
    hours = sums.by_tick(version, "usage_hours", version.published, tick_of(end)).sum()
    return Stretch(version.version, version.published_at, end, float(hours))
