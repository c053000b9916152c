"""A live tenant moves from SQLite to PostgreSQL and back, with all its rows, and back to where it was if that fails."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._http import service_token
from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually
from ansible_collections.sortie.platform.tests.cluster.load import Load

NAMESPACE = "sortie-demo"
ROWS = 20_000
FILL = """
import sys
from pysqlite3 import dbapi2
connection = dbapi2.connect("/data/sortie.db", timeout=20)
connection.execute(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    "INSERT INTO audit_log (timestamp, user, action, details) "
    "SELECT '2026-01-01 00:00:00.000000', 'zoe', 'LOGIN', 'Zürich ' || i FROM n",
    (int(sys.argv[1]),),
)
connection.commit()
"""


def secret(live: Live, key: str) -> str:
    data = live.objects("secret", "sortie-secrets", "--namespace", NAMESPACE)["data"]
    return base64.b64decode(data[key]).decode()


def asked(live: Live, path: str) -> Any:
    return live.ask("demo", "GET", path, token=service_token(secret(live, "jwt-secret"))).json()


def held(live: Live) -> tuple[Any, int, int]:
    """What the tenant holds, as far as its interface tells: catalogue, launches, entries of the audit log."""
    return (
        asked(live, "/api/catalog"),
        asked(live, "/api/analytics/stats")["total_launches"],
        asked(live, "/api/audit?limit=1")["total"],
    )


def sql(live: Live, *statements: str, database: str = "postgres") -> None:
    for statement in statements:
        live.kubectl(
            *("exec", "--namespace", "databases", "deployment/postgresql", "--"),
            *(
                "psql",
                "--host=/tmp",
                "--username=sortie",
                "--quiet",
                f"--dbname={database}",
                f"--command={statement}",
            ),
        )


def address(live: Live, database: str) -> str:
    word = (live.local / "postgresql-password").read_text().split()[0]
    return f"postgresql://sortie:{word}@postgresql.databases/{database}"


def on_postgresql(live: Live, database: str) -> Iterator[str]:
    """The arguments of a run in which the tenant is to be on PostgreSQL; its password is only in a file."""
    path = live.local / f"dsn-{database}.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps({"sortie_database": "postgresql", "sortie_database_dsn": address(live, database)})
    )
    yield f"@{path}"
    path.unlink()


@pytest.fixture(scope="module")
def there(live: Live) -> Iterator[str]:
    sql(live, "DROP DATABASE IF EXISTS moved WITH (FORCE)", "CREATE DATABASE moved")
    yield from on_postgresql(live, "moved")


def database(live: Live) -> str:
    volumes = live.objects("deployment", "sortie", "--namespace", NAMESPACE)["spec"]["template"]["spec"][
        "volumes"
    ]
    return "sqlite" if any("persistentVolumeClaim" in volume for volume in volumes) else "postgresql"


def test_another_database_is_never_begun_empty(live: Live, there: str) -> None:
    app = asked(live, "/api/apps")[0]["id"]
    for _ in range(5):
        assert live.ask("demo", "POST", "/api/analytics/launch", {"app_id": app}).status == 201
    live.kubectl(
        "exec", "deployment/sortie", "--namespace", NAMESPACE, "--", "python3", "-c", FILL, str(ROWS)
    )
    answer = live.playbook("tenants", "--limit", "demo", "--extra-vars", there)
    assert answer.returncode != 0
    assert "playbooks/migrate.yml --limit demo" in answer.stdout
    assert database(live) == "sqlite"
    assert held(live)[2] > ROWS


def test_a_database_that_is_in_use_is_refused_while_the_tenant_serves(live: Live) -> None:
    sql(live, "DROP DATABASE IF EXISTS taken WITH (FORCE)", "CREATE DATABASE taken")
    sql(live, "CREATE TABLE blog (id int)", database="taken")
    for given in on_postgresql(live, "taken"):
        with Load(live, "demo", "none", clients=1, pause=0.2) as load:
            answer = live.playbook("migrate", "--limit", "demo", "--extra-vars", given)
    assert answer.returncode != 0
    assert "not empty and not the application's own" in answer.stdout
    assert load.failures("GET") == []


def test_a_run_that_is_killed_is_taken_up_by_the_next(live: Live, there: str) -> None:
    before = held(live)
    command = live.playbook_command("migrate", "--limit", "demo", "--extra-vars", there)
    process = subprocess.Popen(
        command.args, cwd=command.cwd, env=command.env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    eventually(
        lambda: (
            live.kubectl(
                "get", "configmap", "sortie-migration", "--namespace", NAMESPACE, check=False
            ).returncode
            == 0
            or process.poll() is not None
        ),
        "the move has begun",
    )
    time.sleep(1)
    subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False)
    assert process.wait() in (-signal.SIGKILL, 0)
    answer = live.playbook("migrate", "--limit", "demo", "--extra-vars", there)
    assert answer.returncode == 0, answer.stdout
    assert database(live) == "postgresql"
    assert held(live) == before
    assert address(live, "moved").split(":")[2].split("@")[0] not in answer.stdout
    left = live.objects("pods,secrets,configmaps", "--namespace", NAMESPACE)["items"]
    assert not [entry for entry in left if entry["metadata"]["name"] == "sortie-migration"]
    assert live.kubectl("get", "pvc", "sortie-data", "--namespace", NAMESPACE).returncode == 0


def test_a_move_that_is_done_has_nothing_to_do(live: Live, there: str) -> None:
    answer = live.playbook("migrate", "--limit", "demo", "--extra-vars", there)
    assert answer.returncode == 0, answer.stdout
    assert "nothing had to be moved" in answer.stdout


def test_the_way_back_keeps_what_was_written_meanwhile(live: Live) -> None:
    app = asked(live, "/api/apps")[0]["id"]
    assert live.ask("demo", "POST", "/api/analytics/launch", {"app_id": app}).status == 201
    before = held(live)
    answer = live.playbook("migrate", "--limit", "demo")
    assert answer.returncode == 0, answer.stdout
    assert database(live) == "sqlite"
    assert held(live) == before


def test_a_tenant_that_cannot_be_served_there_is_served_where_it_was(live: Live) -> None:
    """The copy succeeds, the new pods never come up: no node has that many processors."""
    before = held(live)
    sql(live, "DROP DATABASE IF EXISTS failing WITH (FORCE)", "CREATE DATABASE failing")
    too_much = {"cpu": "1000", "memory": "128Mi"}
    broken = {"sortie_rollout_timeout": 40, "sortie_resources": {"requests": too_much, "limits": too_much}}
    for given in on_postgresql(live, "failing"):
        answer = live.playbook(
            "migrate", "--limit", "demo", "--extra-vars", given, "--extra-vars", json.dumps(broken)
        )
    assert answer.returncode != 0
    assert "it serves from its old database again" in answer.stdout
    assert database(live) == "sqlite"
    assert live.playbook("tenants", "--limit", "demo").returncode == 0
    assert held(live) == before
