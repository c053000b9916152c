"""What was acknowledged is there, however the server ends."""

from __future__ import annotations

import contextlib
import http.client
import random
import signal
import threading

from pysqlite3 import dbapi2 as sqlite3

from .server import App, Starter, eventually

KILLS = 50
WRITERS = 4


class Writers:
    """Threads that add applications and count launches until the server is gone; what they were promised."""

    def __init__(self, app: App, token: str, turn: int) -> None:
        self.app = app
        self.token = token
        self.turn = turn
        self.apps: list[str] = []
        self.launches = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for count in range(100_000):
                name = f"app-{self.turn}-{number}-{count}"
                body = {"id": name, "name": name, "url": "https://example.org"}
                if self.app.call("POST", "/api/apps", body, self.token).status == 201:
                    with self._lock:
                        self.apps.append(name)
                if self.app.call("POST", "/api/analytics/launch", {"app_id": name}).status == 201:
                    with self._lock:
                        self.launches += 1


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(start_sqlite: Starter) -> None:
    database = start_sqlite.database()
    chance = random.Random(7)
    apps: set[str] = set()
    launches = 0
    token = ""
    for turn in range(KILLS):
        app = start_sqlite(database)
        token = token or app.login()
        writers = Writers(app, token, turn)
        wanted = chance.randint(1, 30)
        eventually(lambda writers=writers, wanted=wanted: len(writers.apps) >= wanted)
        app.stop(signal.SIGKILL)
        writers.join()
        apps.update(writers.apps)
        launches += writers.launches
    connection = sqlite3.connect(database["SORTIE_DB"])
    kept = {row[0] for row in connection.execute("SELECT id FROM applications")}
    counted = connection.execute("SELECT count(*) FROM analytics").fetchone()[0]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert apps - kept == set()
    # Some were written whose answer the kill cut off: at most one for each writer and kill.
    assert launches <= counted <= launches + KILLS * WRITERS
    assert len(kept) <= len(apps) + KILLS * WRITERS
