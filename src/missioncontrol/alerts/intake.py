"""Takes changes of verdicts: which of them are told, to whom, and from when on.

The same change may come again, after a restart say, and changes nothing. What a subject's verdict was before is what
was taken last, so that a change that was lost on its way here is made up for by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.alerts.alert import alert_of
from missioncontrol.alerts.severity import channels_for, severity_of
from missioncontrol.health.model import Change
from missioncontrol.registry.model import Registry
from missioncontrol.state.alert_channels import AlertChannels, AlertRule
from missioncontrol.state.alert_log import AlertLog, Event

REPEAT_AFTER = timedelta(hours=6)
"""A verdict that comes back sooner waits so long, and is told if it still holds; `worse` is told at once."""


class Alerts:
    """The intake of one installation. `take` is for one process at a time."""

    def __init__(self, channels: AlertChannels, log: AlertLog, registry: Callable[[], Registry]) -> None:
        self._channels, self._log, self._registry = channels, log, registry

    def take(self, changes: Sequence[Change], now: datetime) -> int:
        """Note changes, and that channels are to be told; gives how many were new.

        Call it before the changed verdicts are recorded elsewhere, or one who is killed in between tells nobody.
        Looks whose verdict is not another do no harm.
        """
        if not changes:
            return 0
        listening = {channel.id for channel in self._channels.list() if channel.state != "off"}
        rules = [rule for rule in self._channels.rules() if rule.channel_id in listening]
        return sum(self._take(change, rules, now) for change in changes)

    def _take(self, change: Change, rules: Iterable[AlertRule], now: datetime) -> bool:
        subject, look = change.account.subject, change.account.look
        key = (subject.application, subject.channel, subject.version, subject.measure)
        last = self._log.last(key)
        before = last.verdict if last else change.before.verdict if change.before else ""
        if before == look.verdict:
            return False
        severity = severity_of(before, look.verdict)
        measure = self._registry().measures.get(subject.measure)
        title = measure.title if measure else ""
        told = msgspec.json.encode(alert_of(change.account, title, before, severity)).decode()
        event = Event(0, *key, look.as_of, look.verdict, before, severity, now, told)
        wanted = channels_for(subject.application, subject.channel, subject.measure, severity, rules)
        due = {number: self._due(number, event, now) for number in wanted}
        return self._log.take(event, last.id if last else None, due)

    def _due(self, channel_id: int, event: Event, now: datetime) -> datetime:
        if event.severity == "critical":
            return now
        told = self._log.told(channel_id, event.subject, event.verdict)
        return max(now, told + REPEAT_AFTER) if told else now
