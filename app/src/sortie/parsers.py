"""Parsers of the settings: text of an environment variable to a value, ValueError with what was expected."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_DURATION_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)([KMG]i?)?B?", re.IGNORECASE)
_SIZE_BYTES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(value: str) -> str:
    return value


def port(value: str) -> int:
    if value.startswith("tcp://"):
        raise ValueError(
            "a port number; this value comes from Kubernetes, which puts the address of a Service named "
            "sortie into every pod: set enableServiceLinks: false in the pod's spec"
        )
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError("a port number from 1 to 65535")
    return int(value)


def count(value: str) -> int:
    if not value.isdecimal() or int(value) > 10**9:
        raise ValueError("a whole number, 0 or more")
    return int(value)


def threads(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 256:
        raise ValueError("a whole number from 1 to 256")
    return int(value)


def duration(value: str) -> float:
    """Seconds of `15m`, `1h30m`, `90d`, `45s` or plain `900`."""
    if value.isdecimal():
        return float(value)
    parts = _DURATION_PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("a duration such as 15m, 24h, 1h30m or 90d")
    return sum(float(number) * _DURATION_SECONDS[unit] for number, unit in parts)


def lifetime(value: str) -> float:
    """A duration of at least one second."""
    seconds = duration(value)
    if seconds < 1:
        raise ValueError("a duration of 1s at least, such as 15m or 24h")
    return seconds


def size(value: str) -> int:
    """Bytes of `10Mi`, `1G`, `4096`."""
    match = _SIZE.fullmatch(value)
    if match is None or int(match[1]) == 0:
        raise ValueError("a size above 0 such as 10Mi, 512Ki or 4096")
    return int(match[1]) * _SIZE_BYTES[(match[2] or "").lower()]


def boolean(value: str) -> bool:
    lowered = value.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return lowered in _TRUE


def colour(value: str) -> str:
    if not _COLOUR.fullmatch(value):
        raise ValueError("a colour such as #1F2A3C")
    return value


def is_web_address(value: str) -> bool:
    """Whether `value` is an absolute http(s) address with a host and nothing that could hide it."""
    if any(character <= " " or character in '"<>\\^`{|}\x7f' for character in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def web_address(value: str) -> str:
    if not is_web_address(value):
        raise ValueError("an address that begins with https:// or http://")
    return value


def is_image_address(value: str) -> bool:
    """Whether a page may show `value` as an image: an http(s) address, data:image/..., or an own path."""
    if value.startswith("/"):
        return not value.startswith("//") and not re.search(r"[\s\\\"<>]", value)
    return is_web_address(value) or bool(
        re.fullmatch(r"data:image/[\w.+-]+(;[\w.+=-]+)*,[^\s\"<>\\]*", value, re.ASCII)
    )


def image_address(value: str) -> str:
    if not is_image_address(value):
        raise ValueError(
            "an address that begins with https:// or http://, data:image/..., or a path of this site"
        )
    return value


def secret(value: str) -> str:
    if len(value) < 32:
        raise ValueError(f"at least 32 characters, not {len(value)}; `openssl rand -hex 32` makes one")
    return value


def scopes(value: str) -> str:
    """Scopes separated by spaces or commas; `openid` is among them."""
    words = value.replace(",", " ").split()
    if "openid" not in words:
        raise ValueError("scopes separated by spaces, with openid among them")
    return " ".join(words)


def networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(
            f"addresses or networks such as 10.42.0.0/16, separated by commas ({error})"
        ) from error


class OneOf:
    """A parser that takes one of some words."""

    def __init__(self, *words: str, also: dict[str, str] | None = None) -> None:
        self.words = words
        self.also = also or {}

    def __call__(self, value: str) -> Any:
        word = self.also.get(value.lower(), value.lower())
        if word not in self.words:
            raise ValueError(" or ".join(self.words))
        return word
