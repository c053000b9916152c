"""A client that keeps some connections busy, for measurements over loopback."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Measured:
    """What one run saw. Times are seconds; `statuses` counts answers by status, and `lost` those that never came."""

    seconds: float
    times: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def good(self) -> int:
        """Answers that are no errors."""
        return sum(count for status, count in self.statuses.items() if status < 400)

    @property
    def per_second(self) -> float:
        return self.good / self.seconds

    def percentile(self, share: float) -> float:
        times = sorted(self.times)
        return times[min(len(times) - 1, int(len(times) * share))]


class _Connection:
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, port: int, request: bytes, selector: selectors.BaseSelector) -> None:
        self._port, self._request, self._selector = port, request, selector
        self.open()

    def open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._ask()

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def _ask(self) -> None:
        # `_wanted` is the length of the whole answer once that is known; -1 for one that comes in chunks.
        self._received, self._wanted = bytearray(), 0
        self._asked = time.perf_counter()
        self._socket.sendall(self._request)

    def read(self, measured: Measured) -> None:
        data = self._socket.recv(1 << 20)
        if not data:
            measured.lost += bool(self._received)
            self.close()
            self.open()
            return
        self._received += data
        if not self._wanted:
            self._read_head()
        if self._is_complete():
            status = int(self._received[9:12])
            measured.times.append(time.perf_counter() - self._asked)
            measured.statuses[status] = measured.statuses.get(status, 0) + 1
            self._ask()

    def _is_complete(self) -> bool:
        if self._wanted < 0:
            return self._received.endswith(b"\r\n0\r\n\r\n")
        return bool(self._wanted) and len(self._received) >= self._wanted

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = 0
        for line in bytes(self._received[:end]).split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                self._wanted = -1
                return
        self._wanted = end + 4 + length


def run(port: int, request: bytes, connections: int, seconds: float) -> Measured:
    """Ask `request` over so many connections for so long."""
    selector = selectors.DefaultSelector()
    opened = [_Connection(port, request, selector) for _ in range(connections)]
    measured, started = Measured(seconds), time.perf_counter()
    while time.perf_counter() - started < seconds:
        for key, _ in selector.select(0.5):
            key.data.read(measured)
    for connection in opened:
        connection.close()
    measured.seconds = time.perf_counter() - started
    return measured
