"""A stream counts only whole, and a program's end is told as it was."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup_stream import StreamError, receive
from ansible_collections.sortie.platform.plugins.module_utils._exec import Container, ExecError, Process, run
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import Socket, frames

CONTENT = bytes(range(256)) * 40
CONTAINER = Container("sortie-acme", "sortie-1", "sortie")


def framed(content: bytes = CONTENT, **changed: Any) -> bytes:
    head = {"format": "sortie-snapshot-1", "bytes": len(CONTENT), "sqlite_version": "3.53.4"} | changed
    tail = {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    return json.dumps(head).encode() + b"\n" + content + json.dumps(tail).encode() + b"\n"


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[place : place + size] for place in range(0, len(stream), size)]


class Api:
    def __init__(self, *found: bytes) -> None:
        self.found = found

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Socket:
        assert path == "/api/v1/namespaces/sortie-acme/pods/sortie-1/exec"
        assert ("container", "sortie") in query
        return Socket(self.found, [])


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_whole_stream_is_received_however_it_is_cut_into_pieces(size: int) -> None:
    target = io.BytesIO()
    received = receive(pieces(framed(), size), target)
    assert target.getvalue() == CONTENT
    assert (received.bytes, received.sqlite_version) == (len(CONTENT), "3.53.4")


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"", "first line is missing"),
        (b"sh: not found\n", "first line is missing"),
        (framed(format="other"), "format other"),
        (framed()[:5000], "bytes early"),
        (framed()[:-70], "last line is missing"),
        (framed(CONTENT[:-1] + b"x"), "sha256 is"),
    ],
)
def test_what_is_not_whole_is_refused(stream: bytes, told: str) -> None:
    with pytest.raises(StreamError, match=told):
        receive(pieces(stream, 100), io.BytesIO())


def test_output_of_a_program_that_ends_well() -> None:
    assert run(Api(*frames(b"a" * 10_000)), CONTAINER, "sortie", "check") == b"a" * 10_000


def test_a_program_that_fails_says_why_in_its_own_words() -> None:
    with pytest.raises(ExecError, match=r"^the disk is full$") as raised:
        run(Api(*frames(b"", b"sortie: the disk is full\n", 1)), CONTAINER, "sortie")
    assert raised.value.code == 1


def test_a_connection_that_ends_before_the_program_is_no_good_end() -> None:
    with pytest.raises(ExecError, match="cut off before it ended") as raised:
        run(Api(b"\x01half"), CONTAINER, "sortie", "backup", "-")
    assert raised.value.code is None


def test_input_is_sent_in_pieces_on_its_own_channel() -> None:
    api = Api(*frames(b"done"))
    with Process(api, CONTAINER, ["sortie"], stdin=True) as process:
        process.send(io.BytesIO(b"x" * 200_000))
        assert process.output() == b"done"
