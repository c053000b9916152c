# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Runs a program in a container and streams bytes to and from it, whatever their size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, ClusterError

_STDIN, _STDOUT, _STDERR, _STATUS = range(4)
_CHUNK = 1 << 16
_MOST_STDERR = 16384
# A killed node says nothing any more; this is how long a silent program is believed to be still at work.
SILENCE_SECONDS = 300.0


class StreamApi(Protocol):
    """What this needs of a cluster."""

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Any: ...


class ExecError(Exception):
    """The program could not be run, was cut off (`code` None), or ended with an exit code other than 0."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Container:
    """Where a program is run."""

    namespace: str
    pod: str
    name: str

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.pod}"


class Process:
    """A program that runs in a container. A context manager; leaving it ends the connection."""

    def __init__(
        self,
        api: StreamApi,
        container: Container,
        command: Sequence[str],
        *,
        stdin: bool = False,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._container, self._command = container, command
        self._stderr, self._status = b"", b""
        query = [("container", container.name), ("stdout", "true"), ("stderr", "true")]
        query += [("stdin", "true")] if stdin else []
        query += [("command", word) for word in command]
        try:
            self._socket = api.open_stream(
                f"{KINDS['Pod'].path(container.namespace, container.pod)}/exec", query
            )
        except ClusterError as error:
            raise ExecError(f"{self} could not be started: {error}") from error
        self._socket.settimeout(silence)

    def __str__(self) -> str:
        return f"`{' '.join(self._command[:3])}` in {self._container}"

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without waiting for the other side to agree: after an error it may be gone.
        self._socket.shutdown()

    def chunks(self) -> Iterator[bytes]:
        """Standard output until the program has ended; ExecError if it did not end well."""
        for channel, data in self._frames():
            if channel == _STDOUT:
                yield data
            elif channel == _STDERR:
                self._stderr = (self._stderr + data)[-_MOST_STDERR:]
            elif channel == _STATUS:
                self._status += data
        self._judge()

    def output(self) -> bytes:
        """All of standard output."""
        return b"".join(self.chunks())

    def send(self, source: BinaryIO) -> None:
        """Give all of `source` to standard input. It stays open: the program has to know when it has all."""
        from websocket import ABNF, WebSocketException  # noqa: PLC0415

        prefix = bytes([_STDIN])
        try:
            while chunk := source.read(_CHUNK):
                self._socket.send(prefix + chunk, opcode=ABNF.OPCODE_BINARY)
        except (OSError, WebSocketException) as error:
            raise ExecError(f"{self} was cut off: {self._said() or error}") from error

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        from websocket import (  # noqa: PLC0415
            ABNF,
            WebSocketConnectionClosedException,
            WebSocketException,
            WebSocketTimeoutException,
        )

        try:
            while True:
                opcode, frame = self._socket.recv_data_frame(True)
                if opcode == ABNF.OPCODE_CLOSE:
                    return
                if opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
                    yield frame.data[0], frame.data[1:]
        except WebSocketConnectionClosedException:
            return
        except WebSocketTimeoutException as error:
            raise ExecError(f"{self} was silent for too long") from error
        except (OSError, WebSocketException) as error:
            raise ExecError(f"{self} was cut off: {error}") from error

    def _judge(self) -> None:
        """Without a status the connection broke before the program ended."""
        if not self._status:
            raise ExecError(f"{self} was cut off before it ended")
        status = json.loads(self._status)
        if status.get("status") == "Success":
            return
        causes = (status.get("details") or {}).get("causes") or []
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if not codes:
            raise ExecError(f"{self} was cut off: {status.get('message')}")
        raise ExecError(self._said() or f"{self} ended with exit code {codes[0]}", int(codes[0]))

    def _said(self) -> str:
        return self._stderr.decode(errors="replace").strip().removeprefix("sortie: ")


def run(api: StreamApi, container: Container, *command: str, silence: float = SILENCE_SECONDS) -> bytes:
    """Standard output of a program that needs no input."""
    with Process(api, container, command, silence=silence) as process:
        return process.output()
