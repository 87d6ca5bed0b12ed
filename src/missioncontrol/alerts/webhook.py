"""Messages by HTTP POST: to webhooks, signed, and to what takes Slack's form.

Who sets channels up chooses the address, also one inside of the network: that is what the scope `admin` is needed for.
Only http and https; redirects are not followed, so that nobody else chooses another.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2

from missioncontrol import __version__
from missioncontrol.alerts.message import Message, as_json, as_slack
from missioncontrol.alerts.outcome import LONGEST_ANSWER, Outcome, later, never, sent
from missioncontrol.state.alert_channels import AlertChannel

TIMEOUT_S = 15.0
"""For the whole exchange, however slowly it is answered."""
_CONNECT_S = 5.0
_MOST_ANSWER_BYTES = 4096
_TEMPORARY = frozenset({408, 425, 429})
_LEAST_SECRET = 8
"""Shorter parts of a path are words, as in /hook; what comes after a question mark is a secret from 4 on."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and HMAC-SHA256 (RFC 2104), in hex, of timestamp, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


async def post(
    channel: AlertChannel, message: Message, now: datetime, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Send it; never raises for what the other side or the network does."""
    body = as_slack(message) if channel.kind == "slack" else as_json(message)
    headers = {
        "content-type": "application/json",
        "user-agent": f"MissionControl/{__version__}",
        "x-missioncontrol-delivery": message.id,
    }
    if channel.kind == "webhook":
        timestamp = str(int(now.timestamp()))
        headers["x-missioncontrol-timestamp"] = timestamp
        headers["x-missioncontrol-signature"] = signature(channel.secret, timestamp, body)
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(channel.target, body, headers, now)
    except TimeoutError:
        return later(f"No answer within {timeout_s:g} s.")
    except httpx2.InvalidURL:
        return never("The address is none.")
    except (httpx2.HTTPError, OSError) as error:
        return later(without_address(_words(error), channel.target))


async def _exchange(url: str, body: bytes, headers: dict[str, str], now: datetime) -> Outcome:
    timeout = httpx2.Timeout(TIMEOUT_S, connect=_CONNECT_S)
    async with (
        httpx2.AsyncClient(timeout=timeout, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        text = b""
        if not answer.is_success:
            async for piece in answer.aiter_raw():
                text += piece
                if len(text) >= _MOST_ANSWER_BYTES:
                    break
        return judged(answer, text, now, url)


def judged(answer: httpx2.Response, text: bytes, now: datetime, url: str) -> Outcome:
    """What an answer means: RFC 9110, section 15, for a message that is sent again under the same id."""
    status = answer.status_code
    shown = without_address(" ".join(text.decode("utf-8", "replace").split()), url)[:LONGEST_ANSWER]
    said = f"{status} {answer.reason_phrase}".strip() + (f": {shown}" if shown else "")
    if answer.is_success:
        return sent(said)
    if status in _TEMPORARY or status >= 500 or status < 300:
        return later(said, _wait_s(answer.headers.get("retry-after", ""), now))
    if status < 400:
        where = _whither(answer)
        return never(
            f"{status}: it redirects{where}. Redirects are not followed; give the address that it leads to."
        )
    return never(said)


def without_address(text: str, url: str) -> str:
    """A text without what of an address may be a secret: who answers often quotes the path that was asked for."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    asked = f"{path}?{parts.query}" if parts.query else path
    named = [value for _, value in parse_qsl(parts.query)] + [parts.username or "", parts.password or ""]
    secrets = [asked, path, parts.query, *(value for value in named if len(value) >= 4)]
    secrets += [part for part in path.split("/") if len(part) >= _LEAST_SECRET]
    found = {form for secret in secrets for form in (secret, unquote(secret)) if form}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _whither(answer: httpx2.Response) -> str:
    """The server that a redirect leads to, in words; a redirect that names none that can be read is one too."""
    try:
        host = httpx2.URL(answer.headers.get("location", "")).host
    except (httpx2.InvalidURL, UnicodeError):
        return " to an address that is none"
    return f" to {host[:100]}" if host else ""


def _wait_s(value: str, now: datetime) -> float:
    """Retry-After: seconds or a date; 0 for what is neither."""
    seconds = value.strip()
    if seconds.isascii() and seconds.isdigit():
        return float(seconds[:9])
    try:
        at = parsedate_to_datetime(value)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectTimeout):
        return f"No connection within {_CONNECT_S:g} s."
    if isinstance(error, httpx2.TimeoutException):
        return f"No answer within {TIMEOUT_S:g} s."
    return f"The connection failed: {text}"
