"""The WSGI application: finds the route, answers, and adds what every answer has.

Bottle's router finds the route; what a handler returns is complete, so the rest of Bottle is not in the way
of the many small requests that a launcher gets.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bottle

from ..problems import Problem
from ..site import Site
from ..storage.errors import StorageError
from .answers import STATUS_LINES, Answer, problem_answer
from .call import Call
from .route import Route
from .routes import ROUTES

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_COMMON = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
_DATA_POLICY = [*_COMMON, ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")]
_PAGE_POLICY = [
    *_COMMON,
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https: http:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
_HSTS = ("Strict-Transport-Security", "max-age=31536000")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_log = logging.getLogger("sortie.requests")


class Gateway:
    """A WSGI application over a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._bottle = bottle.Bottle()
        for route in ROUTES:
            self._bottle.route(
                re.sub(r"\{(\w+)\}", r"<\1>", route.path), route.method, route.answer, route=route
            )
        self._pages = {route.path for route in ROUTES if "text/html" in route.answers.values()}
        self._access_log = site.settings.access_log

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        request_id = environ.get("HTTP_X_REQUEST_ID", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        call = Call(self._site, environ)
        answer, route = self._answer(call, request_id)
        path = route.path if route else ""
        start_response(STATUS_LINES[answer.status], self._headers(call, answer, path, request_id))
        seconds = time.perf_counter() - started
        self._site.requests.observe(call.method, path, answer.status, seconds)
        if self._is_logged(call, answer, route):
            self._record(call, answer, path, request_id, seconds)
        return [] if call.method == "HEAD" else [answer.body]

    def _headers(self, call: Call, answer: Answer, path: str, request_id: str) -> list[tuple[str, str]]:
        # By route and not by answer: a 304 brings its headers to the page that the browser kept.
        policy = _PAGE_POLICY if path in self._pages else _DATA_POLICY
        headers = [*answer.headers, *policy, ("X-Request-ID", request_id)]
        if answer.status not in (204, 304):
            headers.append(("Content-Length", str(len(answer.body))))
        if call.is_encrypted:
            headers.append(_HSTS)
        return headers

    def _answer(self, call: Call, request_id: str) -> tuple[Answer, Route | None]:
        """The answer and its route, which is None for an address that there is not."""
        route = None
        try:
            route, parameters = self._find(call)
            return route.answer(call, parameters), route
        except Problem as problem:
            return problem_answer(problem), route
        except StorageError as error:
            _log.error("%s", error, extra={"request_id": request_id})
            return problem_answer(_unavailable(error)), route
        except Exception:
            _log.exception("a request failed", extra={"request_id": request_id})
            words = f"something went wrong here; the log has it under {request_id}"
            return problem_answer(Problem(500, "internal", words)), route

    def _find(self, call: Call) -> tuple[Route, Mapping[str, str]]:
        try:
            found, parameters = self._bottle.match(call.environ)
        except bottle.HTTPError as error:
            allowed = error.headers.get("Allow")
            if error.status_code == 405:
                message = f"{call.method} is not possible here; {allowed} is"
                raise Problem(405, "method_not_allowed", message, headers=(("Allow", allowed),)) from error
            raise Problem(404, "not_found", "there is nothing at this address") from error
        route: Route = found.config["route"]
        # WSGI hands paths over as if they were Latin-1.
        return route, {
            name: part.encode("latin-1").decode(errors="replace") for name, part in parameters.items()
        }

    def _is_logged(self, call: Call, answer: Answer, route: Route | None) -> bool:
        """Changes and failures, unless the settings say something else."""
        if self._access_log != "changes" or answer.status >= 500:
            return self._access_log != "none"
        return call.method not in ("GET", "HEAD") and not (route is not None and route.quiet)

    def _record(self, call: Call, answer: Answer, route: str, request_id: str, seconds: float) -> None:
        caller = vars(call).get("caller")
        extra = {
            "request_id": request_id,
            "method": call.method,
            "path": call.environ.get("PATH_INFO", ""),
            "route": route,
            "status": answer.status,
            "bytes": len(answer.body),
            "milliseconds": round(seconds * 1000, 2),
            "address": call.address,
            "user": caller.username if caller else "",
        }
        _log.info("%s %s %d", call.method, extra["path"], answer.status, extra=extra)


def _unavailable(error: StorageError) -> Problem:
    return Problem(503, "unavailable", str(error), headers=(("Retry-After", "2"),))
