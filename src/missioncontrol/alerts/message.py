"""One message in the form of each kind of channel: JSON for programs, Slack's JSON, an e-mail. Pure.

A message is made of what is kept and of nothing else, so that it is the same to the byte each time it is sent.
Names come from clients: they are escaped wherever they could mean something.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import msgspec

from missioncontrol.alerts.alert import Alert, numbers
from missioncontrol.state.alert_log import DeliveryKind

_SIGNS = {"critical": "🔴", "warning": "🟡", "info": "🟢"}
_LONGEST_BLOCK = 2900
"""Slack takes 3,000 characters a block."""
_LONGEST_TEXT = 4000
"""Others that take Slack's form refuse texts that are longer than a few thousand characters."""
MOST_ALERTS = 20
"""In one message."""


class Message(msgspec.Struct, frozen=True):
    """What a channel is told."""

    id: str
    """Of the delivery; the same each time it is sent."""
    kind: DeliveryKind
    channel: str
    """Name of the alert channel."""
    created_at: datetime
    text: str
    """What it says, in short."""
    alerts: Sequence[Alert] = ()


def headline(alerts: Sequence[Alert]) -> str:
    """The short text of a message; its alerts are those that matter most first."""
    first = alerts[0].title
    return (
        first
        if len(alerts) == 1
        else f"{len(alerts)} verdicts changed, {first[0].lower()}{first[1:]} among them"
    )


def as_json(message: Message) -> bytes:
    """The body for a webhook; `docs/reference/alerts.md` has its fields."""
    return msgspec.json.encode(message)


def as_slack(message: Message) -> bytes:
    """The body for Slack and what takes the same: Mattermost, Rocket.Chat, Discord under /slack."""
    blocks = [] if len(message.alerts) <= 1 else [_section(f"*{_slack(message.text)}*")]
    blocks += [_section(_slack_alert(alert)) for alert in message.alerts]
    lines = [message.text, *(f"{_sign(a)}{a.title}. {a.sentence} {a.url}" for a in message.alerts)]
    text = message.text if not message.alerts else "\n".join(lines[1:] if len(lines) == 2 else lines)
    content: dict[str, Any] = {"text": _slack(text)[:_LONGEST_TEXT]}
    return msgspec.json.encode({**content, "blocks": blocks} if message.alerts else content)


def as_email(message: Message, sender: str, recipients: Sequence[str], domain: str) -> EmailMessage:
    """The e-mail, as text and as HTML; its Message-ID is the delivery's."""
    mail = EmailMessage()
    mail["Subject"] = f"[Mission Control] {' '.join(message.text.split())}"[:200]
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-MissionControl-Delivery"] = message.id
    mail.set_content(_plain(message))
    mail.add_alternative(_html(message), subtype="html")
    mail.set_boundary(f"missioncontrol-{message.id}")
    return mail


def _plain(message: Message) -> str:
    told = [
        "\n".join([a.title, "", a.sentence, "", numbers(a), *_signature_lines(a), a.url])
        for a in message.alerts
    ]
    return "\n\n---\n\n".join(told or [message.text]) + _end(message)


def _html(message: Message) -> str:
    told = [
        f"<h3>{html.escape(a.title)}</h3><p>{html.escape(a.sentence)}</p><p>{html.escape(numbers(a))}</p>"
        + "".join(f"<p><code>{html.escape(line)}</code></p>" for line in _signature_lines(a))
        + f'<p><a href="{html.escape(a.url)}">{html.escape(a.url)}</a></p>'
        for a in message.alerts
    ]
    body = "<hr>".join(told or [f"<p>{html.escape(message.text)}</p>"])
    end = html.escape(_end(message).strip()).replace("\n", "<br>")
    return f"<!doctype html><html><body>{body}<p><small>{end}</small></p></body></html>"


def _end(message: Message) -> str:
    return f"\n\n--\nMission Control, alert channel {message.channel}. Delivery {message.id}\n"


def _slack_alert(alert: Alert) -> str:
    link = f"<{_slack(alert.url)}|{_slack(alert.title).replace('|', '¦')}>"
    lines = [f"{_sign(alert)}*{link}*", _slack(alert.sentence), _slack(numbers(alert))]
    return "\n".join([*lines, *map(_slack, _signature_lines(alert))])


def _signature_lines(alert: Alert) -> list[str]:
    return [
        f"{s.signature or '(no signature)'}: {s.observed:,.0f} for {s.expected:,.1f}"
        for s in alert.signatures
    ]


def _sign(alert: Alert) -> str:
    sign = _SIGNS.get(alert.severity)
    return f"{sign} " if sign else ""


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_LONGEST_BLOCK]}}


def _slack(text: str) -> str:
    """Slack's own escapes; zero-width spaces keep names from calling everybody in a room, and from being links."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b").replace("](", "]\u200b(")
