"""Passwords: argon2id, and the same time for a user that does not exist.

A password is never stored, never logged and never part of an error.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from missioncontrol.errors import BadRequest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 6
ADVISED = 12
LONGEST = 1024
_AT_ONCE = 2
"""Each hash takes 64 MiB and all cores for a moment: many sign-ins at once must not take the machine."""


class Passwords:
    """Makes and verifies hashes. Thread-safe; blocks."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """The hash of a new password; raises `BadRequest` (`password_short`, `password_long`)."""
        if len(password) < SHORTEST:
            raise BadRequest("password_short", f"A password has at least {SHORTEST} characters.")
        if len(password) > LONGEST:
            raise BadRequest("password_long", f"A password has at most {LONGEST} characters.")
        with self._turns:
            return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; None takes as long as a wrong one."""
        from argon2.exceptions import InvalidHashError, VerificationError

        if len(password) > LONGEST:
            return False
        try:
            with self._turns:
                self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher, profiles

        return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)

    @cached_property
    def _nobody(self) -> str:
        """The hash of a password that nobody has, of the parameters of the others."""
        import secrets

        return self._hasher.hash(secrets.token_urlsafe(32))
