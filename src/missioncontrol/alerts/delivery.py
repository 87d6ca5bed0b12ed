"""Delivers what is to be told: bundles it into messages, sends them, tries again, gives up, switches channels off.

One process does it at a time. It may be killed at any moment: a message that was sent and not noted is sent once more,
under the same id. What is sent under an id never changes: when a part of a message no longer holds, the rest becomes
another message.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import msgspec
import structlog

from missioncontrol.alerts.alert import Alert
from missioncontrol.alerts.mail import Mailer
from missioncontrol.alerts.message import MOST_ALERTS, Message, headline
from missioncontrol.alerts.outcome import Outcome, later
from missioncontrol.alerts.quiet import quiet_until
from missioncontrol.alerts.severity import SEVERITIES, reaches
from missioncontrol.state.alert_channels import AlertChannel, AlertChannels
from missioncontrol.state.alert_log import AlertLog, Delivery, DeliveryKind, Status, Telling

FIRST_PAUSE = timedelta(seconds=30)
"""After the first failure; each further pause is twice as long."""
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
MOST_AT_ONCE = 8
"""Messages on their way at the same time."""
_MOST_A_TURN = 64
_OF_TESTS: dict[str, Status] = {"sent": "sent", "later": "given_up", "never": "refused"}

logger = structlog.get_logger()


class Deliverer:
    """Sends the alerts of one installation. `base_url`: address of its pages."""

    def __init__(self, channels: AlertChannels, log: AlertLog, mailer: Mailer, base_url: str) -> None:
        self._channels, self._log, self._mailer, self._base_url = channels, log, mailer, base_url

    def turn(self, now: datetime) -> int:
        """Send what is due; gives how many messages were tried. Blocks."""
        if not self._channels.any():
            return 0
        self._bundle(self._log.waiting(now), now)
        due = self._log.due(now, _MOST_A_TURN)
        if due:
            asyncio.run(self._send_all(due, now))
        return len(due)

    def test(self, channel: AlertChannel, now: datetime) -> Outcome:
        """Send a message that says that it is a test, whatever state the channel is in, and note how it went.

        It is not tried again: whoever asked for it sees the answer.
        """
        text = f"This is a test of the alert channel {channel.name}. Alerts will arrive here."
        delivery = _delivery(channel, "test", text, now)
        outcome = asyncio.run(self._send(channel, self._message(delivery, ())))
        self._log.add(
            msgspec.structs.replace(
                delivery, status=_OF_TESTS[outcome.result], attempts=1, tried_at=now, answer=outcome.answer
            )
        )
        return outcome

    def _bundle(self, waiting: Iterable[Telling], now: datetime) -> None:
        """Make messages of what is to be told, as few as possible, and drop what no longer holds."""
        channels = {channel.id: channel for channel in self._channels.list()}
        by_channel = sorted(waiting, key=lambda t: t.channel_id)
        for number, tellings in groupby(by_channel, key=lambda t: t.channel_id):
            found = list(tellings)
            outdated = [t.event.id for t in found if not t.holds]
            if outdated:
                self._log.close(number, outdated, "outdated")
            channel = channels.get(number)
            if channel is not None and channel.state == "on":
                self._write(channel, [t for t in found if t.holds and not _rests(channel, t, now)], now)

    def _write(self, channel: AlertChannel, tellings: list[Telling], now: datetime) -> None:
        tellings = _worst_first(tellings)
        for start in range(0, len(tellings), MOST_ALERTS):
            part = tellings[start : start + MOST_ALERTS]
            delivery = _delivery(channel, "alerts", headline(_alerts(part)), now)
            self._log.add(delivery, [t.event.id for t in part])

    async def _send_all(self, due: Sequence[Delivery], now: datetime) -> None:
        room = asyncio.Semaphore(MOST_AT_ONCE)
        channels = {channel.id: channel for channel in self._channels.list()}

        async def send(delivery: Delivery) -> None:
            async with room:
                channel = channels.get(delivery.channel_id)
                try:
                    await self._deliver(delivery, channel, now)
                except Exception as error:  # one message must not stop the others, nor itself for ever
                    logger.exception("alert_failed", channel=delivery.channel_name, delivery=delivery.id)
                    outcome = later(f"Mission Control failed: {type(error).__name__}.")
                    self._note(delivery, channel, outcome, now)

        await asyncio.gather(*(send(delivery) for delivery in due))

    async def _deliver(self, delivery: Delivery, channel: AlertChannel | None, now: datetime) -> None:
        tellings = _worst_first(self._log.events_of(delivery.id)) if delivery.kind == "alerts" else []
        if tellings and not any(t.holds for t in tellings):
            self._log.tried(delivery, "outdated", "It no longer holds.", now, now)
            return
        if not all(t.holds for t in tellings):
            # Another text under the same id would be lost on receivers that know the id: it becomes another message.
            self._log.remake(delivery, "A part of it no longer holds. The rest is told in another message.")
            return
        if channel is not None and tellings and all(_rests(channel, t, now) for t in tellings):
            self._log.remake(
                delivery, "Quiet hours began. What still holds after them is told in another message."
            )
            return
        message = self._message(delivery, tellings)
        if delivery.address:
            outcome = await asyncio.to_thread(self._mailer.send, message, [delivery.address])
        elif channel is not None:
            outcome = await self._send(channel, message)
        else:
            return  # it was removed a moment ago, and what it waited for with it
        self._note(delivery, channel, outcome, now)

    async def _send(self, channel: AlertChannel, message: Message) -> Outcome:
        if channel.kind == "email":
            return await asyncio.to_thread(self._mailer.send, message, channel.target.split(", "))
        from missioncontrol.alerts.webhook import (
            post,
        )  # an HTTP client takes memory that most servers never need

        return await post(channel, message, datetime.now(UTC))

    def _note(
        self, delivery: Delivery, channel: AlertChannel | None, outcome: Outcome, now: datetime
    ) -> None:
        told = {"channel": delivery.channel_name, "delivery": delivery.id, "kind": delivery.kind}
        if outcome.result == "sent":
            self._log.tried(delivery, "sent", outcome.answer, now, now)
            logger.info("alert_sent", **told)
        elif outcome.result == "never":
            logger.warning("alert_refused", **told, answer=outcome.answer)
            if channel is not None and not delivery.address:
                self._break(channel, delivery, outcome.answer, now)
            self._hand_on(delivery, channel, now)
            self._log.tried(delivery, "refused", outcome.answer, now, now)
        else:
            self._hand_on(delivery, channel, now)
            ends = delivery.created_at + GIVE_UP_AFTER
            pause = max(pause_after(delivery.attempts), timedelta(seconds=min(outcome.wait_s, 86_400)))
            status: Status = "given_up" if now >= ends else "waiting"
            self._log.tried(delivery, status, outcome.answer, min(now + pause, ends), now)
            logger.warning("alert_not_sent", **told, attempts=delivery.attempts + 1, answer=outcome.answer)

    def _break(self, channel: AlertChannel, delivery: Delivery, answer: str, now: datetime) -> None:
        """Switch a channel off and tell its owner. The notice comes first, so that no kill can lose it."""
        if not any(c.id == channel.id and c.state == "on" for c in self._channels.list()):
            return
        self._tell_owner(channel, delivery, answer, now)
        self._channels.switch(channel.id, "broken", answer, now)

    def _tell_owner(self, channel: AlertChannel, delivery: Delivery, answer: str, now: datetime) -> None:
        text = (
            f"The alert channel {channel.name} was switched off, because it refuses messages: {answer} "
            f"Mend it, test it and switch it on again: {self._base_url}/alerts. What still holds then is told."
        )
        by_mail = self._mailer.works and channel.owner_email not in ("", *channel.target.split(", "))
        other = self._stand_in(channel, "")
        if by_mail:
            notice = _delivery(channel, "notice", text, now, channel.owner_email)
        elif other is not None:
            notice = _delivery(other, "notice", text, now)
        else:
            logger.error("alert_channel_broken", channel=channel.name, answer=answer)
            return
        self._add_notice(notice, f"notice {delivery.id}")

    def _hand_on(self, notice: Delivery, channel: AlertChannel | None, now: datetime) -> None:
        """A notice that did not arrive at once goes over the owner's next channel too; the first is still tried."""
        if notice.kind != "notice" or channel is None:
            return
        other = self._stand_in(channel, "" if notice.address else channel.name)
        if other is not None:
            self._add_notice(_delivery(other, "notice", notice.text, now), f"handed on {notice.id}")

    def _stand_in(self, channel: AlertChannel, after: str) -> AlertChannel | None:
        """The first channel by name, after a name, that is on and of the same owner."""
        return next((c for c in self._channels.list() if c.name > after and _stands_in(c, channel)), None)

    def _add_notice(self, notice: Delivery, of: str) -> None:
        """`of`: what did not arrive; when that fails again, after a kill say, it is the same notice."""
        number = hashlib.sha256(of.encode()).hexdigest()[:32]
        if not self._log.knows(number):
            self._log.add(msgspec.structs.replace(notice, id=number))

    def _message(self, delivery: Delivery, tellings: Sequence[Telling]) -> Message:
        alerts = [msgspec.structs.replace(a, url=self._base_url + a.url) for a in _alerts(tellings)]
        return Message(
            delivery.id, delivery.kind, delivery.channel_name, delivery.created_at, delivery.text, alerts
        )


def pause_after(failures: int) -> timedelta:
    """The pause after one more failure than these."""
    return min(FIRST_PAUSE * (1 << min(failures, 16)), LONGEST_PAUSE)


def _stands_in(other: AlertChannel, broken: AlertChannel) -> bool:
    return other.id != broken.id and _person(other.owner) == _person(broken.owner) and other.state == "on"


def _person(owner: str) -> str:
    """Whoever sits at the machine is one person, on the page (`local`) and on the command line (`local:ada`)."""
    return "local" if owner.startswith("local:") else owner


def _rests(channel: AlertChannel, telling: Telling, now: datetime) -> bool:
    """Whether it must wait for the end of quiet hours."""
    quiet = channel.quiet
    return (
        quiet is not None
        and not reaches(telling.event.severity, quiet.passing)
        and bool(quiet_until(quiet, now))
    )


def _worst_first(tellings: Iterable[Telling]) -> list[Telling]:
    order: tuple[str, ...] = SEVERITIES
    return sorted(tellings, key=lambda t: (order.index(t.event.severity), t.event.id))


def _alerts(tellings: Iterable[Telling]) -> list[Alert]:
    return [msgspec.json.decode(t.event.alert, type=Alert) for t in tellings]


def _delivery(
    channel: AlertChannel, kind: DeliveryKind, text: str, now: datetime, address: str = ""
) -> Delivery:
    return Delivery(
        uuid.uuid4().hex, channel.id, channel.name, kind, address, text, "waiting", 0, now, now, None, ""
    )
