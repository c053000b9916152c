"""When a certificate ends. That alone is wanted of it, in every pod, and is not worth the memory of a library for X.509."""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime

_FIRST = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION = 0xA0
_UTC_TIME = 0x17
# What stands before the validity: serial number, algorithm of the signature, issuer.
_BEFORE_VALIDITY = 3


def end(pem: bytes) -> float | None:
    """The moment after which the first certificate of a file is no longer valid; None if there is none that can be read."""
    found = _FIRST.search(pem)
    if found is None:
        return None
    try:
        return _end(binascii.a2b_base64(found[1]))
    except (IndexError, ValueError):
        return None


def _end(der: bytes) -> float:
    # Certificate and, in it, TBSCertificate (RFC 5280, 4.1).
    place = _content(der, _content(der, 0)[0])[0]
    if der[place] == _VERSION:
        place = _content(der, place)[1]
    for _field in range(_BEFORE_VALIDITY):
        place = _content(der, place)[1]
    not_before = _content(der, place)[0]
    not_after = _content(der, not_before)[1]
    start, stop = _content(der, not_after)
    text = der[start:stop].decode("ascii")
    # Years of two digits are those from 1950 on (RFC 5280, 4.1.2.5.1).
    if der[not_after] == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _content(der: bytes, place: int) -> tuple[int, int]:
    """Where the content of the value at a place begins and ends."""
    length, start = der[place + 1], place + 2
    if length >= 0x80:
        start, length = start + (length & 0x7F), int.from_bytes(der[start : start + (length & 0x7F)])
    return start, start + length
