"""Tokens: what others make is read, what we make others read, and nothing else is accepted."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from sortie.people import jws

from .server import KEY
from .tokens import service_token


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_both_ways_with_another_library() -> None:
    token = service_token()
    assert jws.verify(token, KEY, "sortie")["typ"] == "service"
    claims = {"iss": "sortie", "iat": 1, "exp": 2, "name": "ü"}
    assert jwt.decode(jws.sign(claims, KEY), OctKey.import_key(KEY)).claims == claims


def test_anything_changed_is_refused() -> None:
    token = service_token()
    for position in range(len(token)):
        other = "A" if token[position] != "A" else "B"
        with pytest.raises(jws.BadToken):
            jws.verify(token[:position] + other + token[position + 1 :], KEY, "sortie")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "x" * 10_000,
        part({"alg": "none", "typ": "JWT"}) + "." + part({"iss": "sortie", "iat": 1, "exp": 2**40}) + ".",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(jws.BadToken):
        jws.verify(token, KEY, "sortie")


def signed(header: Any, claims: Any) -> str:
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(jws._signature(text, KEY))}"


GOOD = {"iss": "sortie", "iat": int(time.time()), "exp": int(time.time()) + 3600}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "none"}, GOOD),
        ({"alg": "HS512", "typ": "JWT"}, GOOD),
        ({"alg": "HS256", "typ": "JWT", "crit": ["x"]}, GOOD),
        ([], GOOD),
        (b"\xff", GOOD),
        ({"alg": "HS256", "typ": "JWT"}, []),
        ({"alg": "HS256", "typ": "JWT"}, GOOD | {"iss": "other"}),
        ({"alg": "HS256", "typ": "JWT"}, GOOD | {"exp": "2999"}),
        ({"alg": "HS256", "typ": "JWT"}, GOOD | {"exp": True}),
        ({"alg": "HS256", "typ": "JWT"}, GOOD | {"exp": 1}),
        ({"alg": "HS256", "typ": "JWT"}, GOOD | {"iat": 2**40}),
        ({"alg": "HS256", "typ": "JWT"}, {"iss": "sortie", "exp": 2**40}),
    ],
)
def test_a_good_signature_is_not_enough(header: Any, claims: Any) -> None:
    with pytest.raises(jws.BadToken):
        jws.verify(signed(header, claims), KEY, "sortie")


def test_the_test_above_refuses_for_the_reason_it_means() -> None:
    assert jws.verify(signed({"alg": "HS256", "typ": "JWT"}, GOOD), KEY, "sortie") == GOOD
