"""Serves the application with waitress until SIGTERM."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import signal
import time
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from .catalogue.published import json_bytes
from .settings import Settings
from .site import Site
from .web.gateway import Gateway

# Less than the 30 s that Kubernetes gives.
FINISH_SECONDS = 20.0
_M_ARENA_MAX = -8

_log = logging.getLogger("sortie.server")
_CODES = {413: "too_large", 431: "headers_too_large", 501: "not_implemented"}


class _Task(WSGITask):
    """Keeps the connection after answers that have no body; waitress would close it. At the end it keeps none."""

    def build_response_header(self) -> bytes:
        if getattr(self.channel.server, "is_ending", False):
            # A proxy that kept the connection asks here again; told so, it asks somewhere else in time.
            self.set_close_on_finish()
            return bytes(super().build_response_header())
        keep = self.status[:3] in ("304", "204") and self.version == "1.1" and not self._client_closes()
        header: bytes = super().build_response_header()
        if keep:
            self.close_on_finish = False
            header = header.replace(b"\r\nConnection: close\r\n", b"\r\n", 1)
        return header

    def _client_closes(self) -> bool:
        return str(self.request.headers.get("CONNECTION", "")).lower() == "close"


class _ErrorTask(ErrorTask):
    """Answers requests that never reach the application in the same shape as the application."""

    def execute(self) -> None:
        error = self.request.error
        code = _CODES.get(error.code, "bad_request")
        body = json_bytes({"error": {"code": code, "message": str(error.body)}})
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
        self.content_length = len(body)
        self.response_headers.append(("Content-Length", str(len(body))))
        self.set_close_on_finish()
        self.write(body)


class _Channel(HTTPChannel):
    task_class = _Task
    error_task_class = _ErrorTask


class Server:
    """A server that listens from the start and serves in `run`."""

    def __init__(self, application: Any, settings: Settings) -> None:
        self._server = create_server(
            application,
            listen=f"{settings.host}:{settings.port}",
            threads=settings.threads,
            connection_limit=1000,
            channel_timeout=60,
            asyncore_use_poll=True,
            max_request_body_size=settings.max_body,
            ident="",
            clear_untrusted_proxy_headers=False,
        )
        # One entry for each socket: the listeners, the connections, and the triggers that wake the loop.
        self._sockets: dict[int, Any] = getattr(self._server, "map", None) or self._server._map
        self._listeners = [item for item in self._sockets.values() if isinstance(item, BaseWSGIServer)]
        for listener in self._listeners:
            listener.channel_class = _Channel
        self._stopping = False
        self._delay = settings.stop_delay

    def stop(self) -> None:
        """End `run`, soon. May be called in a signal handler."""
        self._stopping = True
        for listener in self._listeners:
            listener.is_ending = True
        self._listeners[0].pull_trigger()

    def run(self) -> None:
        """Serve until `stop` and the delay after it; then finish what is being worked on."""
        while not self._stopping:
            self._wait(1.0)
        last = time.monotonic() + self._delay
        while (left := last - time.monotonic()) > 0:
            self._wait(min(left, 0.5))
        for listener in self._listeners:
            listener.accepting = False
            listener.del_channel()
            listener.socket.close()
        deadline = time.monotonic() + FINISH_SECONDS
        while self._close_idle() and time.monotonic() < deadline:
            self._wait(0.05)
        self._listeners[0].task_dispatcher.shutdown(timeout=1)

    def _wait(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _close_idle(self) -> int:
        """Close the connections on which nothing is asked; how many are left."""
        channels = [item for item in self._sockets.values() if isinstance(item, HTTPChannel)]
        busy = [channel for channel in channels if _is_busy(channel)]
        for channel in channels:
            if channel not in busy:
                channel.handle_close()
        return len(busy)


def _is_busy(channel: HTTPChannel) -> bool:
    """Whether a request is being worked on or an answer is being sent."""
    return bool(channel.requests or channel.request or channel.total_outbufs_len)


def _use_one_arena() -> None:
    """Have threads share one heap: Python runs one at a time, and each heap of its own keeps what it once needed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def stop(site: Site, server: Server) -> None:
    site.stopping = True
    server.stop()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises SchemaTooNew for a newer release's database."""
    _use_one_arena()
    site = Site(settings)
    site.open_soon()
    server = Server(Gateway(site), settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop(site, server))
    _log.info("serving on port %d", settings.port)
    try:
        server.run()
    finally:
        site.close()
        _log.info("stopped")
    return 0
