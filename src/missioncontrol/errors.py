"""One family of errors: a code, a message and a hint.

The message says what, where and what to do. The code is the same in an HTTP body, a log field, a metric and the
docs. A user's mistake never shows a traceback: the command line and the HTTP layer print `MissionControlError`s.
"""

from __future__ import annotations

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Errors of the system that say that a disk, or what one may have of it, is full."""


class MissionControlError(Exception):
    """Base of all errors that are meant to be read by a user."""

    status = 500
    exit_code = 1
    retry_after_s = 0
    """When it may work, if that is known; 0: not."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, str]:
        """The body of an HTTP refusal: `{code, message, hint}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class BadRequest(MissionControlError):
    """The caller asked for something that cannot be answered as asked."""

    status = 400
    exit_code = 2


class NotFound(MissionControlError):
    """The thing asked for does not exist."""

    status = 404


class Unauthorized(MissionControlError):
    """Who asks is not known: not signed in, or with a token that does not work."""

    status = 401


class Forbidden(MissionControlError):
    """The caller may not do that, whatever the request says otherwise."""

    status = 403


class TooMany(MissionControlError):
    """The caller asks too often; `retry_after_s` says when it may again."""

    status = 429

    def __init__(self, code: str, message: str, hint: str, retry_after_s: int) -> None:
        super().__init__(code, message, hint)
        self.retry_after_s = retry_after_s


class ConfigError(MissionControlError):
    """A setting, or the registry, is wrong."""

    exit_code = 2


class TooSlow(MissionControlError):
    """A query went past its time limit and was stopped, or got no turn; `retry_after_s` says when it may get one."""

    status = 503

    def __init__(self, code: str, message: str, hint: str = "", retry_after_s: int = 0) -> None:
        super().__init__(code, message, hint)
        self.retry_after_s = retry_after_s


class StorageFull(MissionControlError):
    """There is no room left to store what was sent."""

    status = 507


class LimitReached(StorageFull):
    """A store holds as much as its settings let it, whatever room there is on the disk."""


class StorageError(MissionControlError):
    """A store could not be read or written for a reason other than room."""

    status = 500


class StorageAway(StorageError):
    """A store cannot be had now, whatever is asked of it; what was to be done may be done later."""

    status = 503
    retry_after_s = 30
