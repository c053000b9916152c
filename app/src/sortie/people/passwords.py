"""Passwords: argon2id for new ones; bcrypt of other implementations is accepted, and replaced at a sign-in.

Hashing costs 19 MiB and some 30 ms of a core, so only two are worked on at a time: many sign-ins at once wait
for each other and cannot use up the memory of a small container.
"""

from __future__ import annotations

import functools
import secrets
import threading

import argon2
import bcrypt

LEAST_CHARACTERS = 8
MOST_CHARACTERS = 256
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_A_TIME = threading.BoundedSemaphore(2)


@functools.cache
def _nobody() -> str:
    """A hash to compare with when there is no such user, so that this takes as long."""
    return _HASHER.hash(secrets.token_hex())


def hashed(password: str) -> str:
    with _AT_A_TIME:
        return _HASHER.hash(password)


def matches(stored: str, password: str) -> bool:
    """Whether `password` is the one of the hash `stored`; takes as long for an empty hash."""
    with _AT_A_TIME:
        if stored.startswith("$2"):
            return _matches_bcrypt(stored, password)
        try:
            return _HASHER.verify(stored or _nobody(), password) and bool(stored)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def _matches_bcrypt(stored: str, password: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode(), stored.encode())
    except ValueError:
        # More than 72 bytes, which bcrypt never hashed, or no hash at all.
        return False


def is_outdated(stored: str) -> bool:
    """Whether a new hash of the same password would be a better one."""
    return not stored.startswith("$argon2") or _HASHER.check_needs_rehash(stored)
