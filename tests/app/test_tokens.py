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
from sortie.people.tokens import ACCESS, Tokens

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


OLD, NEW = "the-key-of-before-0123456789abcdef", "the-key-of-today-0123456789abcdef"


def test_who_signed_in_before_the_key_changed_stays_signed_in() -> None:
    before, after = Tokens(OLD), Tokens(NEW, OLD)
    assert after.read(before.make(ACCESS, "u1", "s1", 60)).session == "s1"
    assert after.signed("csrf s1", before.sign("csrf s1"))
    assert after.signed("csrf s1", after.sign("csrf s1"))


def test_the_key_of_before_signs_nothing_new() -> None:
    after = Tokens(NEW, OLD)
    assert after.sign("csrf s1") != Tokens(OLD).sign("csrf s1")
    with pytest.raises(jws.BadToken):
        Tokens(OLD).read(after.make(ACCESS, "u1", "s1", 60))


def test_an_administrators_token_of_the_key_of_before_is_refused() -> None:
    with pytest.raises(jws.BadToken):
        Tokens(NEW, OLD).read(service_token(OLD))
    assert Tokens(OLD).read(service_token(OLD)).kind == "service"


def test_two_changes_forget_the_first_key() -> None:
    with pytest.raises(jws.BadToken):
        Tokens("the-third-key-0123456789abcdef-123", NEW).read(Tokens(OLD).make(ACCESS, "u1", "s1", 60))
