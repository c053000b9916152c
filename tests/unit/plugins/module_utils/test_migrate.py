"""A move goes on or back from wherever it stopped, and never loses what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, Manifest
from ansible_collections.sortie.platform.plugins.module_utils._migrate import (
    MigrateError,
    Move,
    begin,
    finish,
    undo,
)
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi, encoded

SPACE = "sortie-acme"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": {}}}
DSN = "postgresql://sortie:word@db/sortie"
REPORT = {"from": "SQLite", "to": "PostgreSQL", "tables": {}, "rows": 0, "seconds": 0.1}
GOOD = {"problems": [], "server": "15.14", "in_use": False}
DEPLOYMENT = KINDS["Deployment"].path(SPACE, "sortie")
RECORD = KINDS["ConfigMap"].path(SPACE, "sortie-migration")
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "sortie-data"}}


OWN = ("sortie-secrets", "database-dsn")
OPERATORS = ("sortie-postgresql-app", "uri")


def move(to: str = "postgresql", *, managed: bool = False) -> Move:
    dsn = DSN if to == "postgresql" and not managed else ""
    return Move("acme", NAMESPACE, to, "sortie:1", dsn=dsn, managed=managed, timeout=1)


class Tenant(FakeApi):
    """A cluster with one tenant, in which each pod ends at once and says what `said` has for it."""

    def __init__(self, database: str, **said: Any) -> None:
        super().__init__()
        self.said = {"sortie-database-check": GOOD, "sortie-migration": REPORT, **said}
        self.commands: list[list[str]] = []
        self.addresses: list[tuple[str, str]] = []
        self.put(KINDS["Namespace"].path(None, SPACE), NAMESPACE)
        secret = {
            "kind": "Secret",
            "metadata": {"name": "sortie-secrets"},
            "data": encoded({"database-dsn": DSN}),
        }
        self.put(KINDS["Secret"].path(SPACE, "sortie-secrets"), secret)
        self.deploy(database)

    def deploy(self, database: str, address: tuple[str, str] = OWN) -> None:
        volumes = [CLAIM] if database == "sqlite" else []
        place = dict(zip(("name", "key"), address, strict=True))
        env = [] if volumes else [{"name": "SORTIE_DB_DSN", "valueFrom": {"secretKeyRef": place}}]
        self.put(
            DEPLOYMENT,
            {
                "kind": "Deployment",
                "metadata": {"name": "sortie", "namespace": SPACE, "generation": 1},
                "spec": {
                    "replicas": 1,
                    "template": {
                        "spec": {"volumes": volumes, "containers": [{"name": "sortie", "env": env}]}
                    },
                },
                "status": {
                    "observedGeneration": 1,
                    "replicas": 1,
                    "updatedReplicas": 1,
                    "availableReplicas": 1,
                },
            },
        )

    @property
    def database(self) -> str:
        return "sqlite" if self.objects[DEPLOYMENT]["spec"]["template"]["spec"]["volumes"] else "postgresql"

    @property
    def replicas(self) -> int:
        return int(self.objects[DEPLOYMENT]["spec"]["replicas"])

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        if path == DEPLOYMENT:
            there = self.objects[path]
            spec = {**there["spec"], **body["spec"]}
            self.objects[path] = {**there, "spec": spec}
            return self.objects[path]
        if body.get("kind") == "Pod":
            name = body["metadata"]["name"]
            self.commands.append(body["spec"]["containers"][0]["command"])
            place = body["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
            self.addresses.append((place["name"], place["key"]))
            said = self.said[name]
            body = {**body, "status": {"phase": "Failed" if isinstance(said, str) else "Succeeded"}}
            self.logs[f"{path}/{name}/log"] = said if isinstance(said, str) else json.dumps(said)
        return super().send(method, path, body, content_type, query)

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        self.objects.pop(path, None)

    def record(self) -> dict[str, str]:
        return dict(self.objects.get(RECORD, {}).get("data", {}))


def test_the_application_is_stopped_and_its_rows_are_copied() -> None:
    api = Tenant("sqlite")
    assert begin(api, move()) == REPORT
    assert api.replicas == 0
    assert api.commands[-1] == ["sortie", "database", "copy", "--to", "postgres", "--db", "/data/sortie.db"]
    assert (api.record()["phase"], api.record()["to"]) == ("copied", "postgresql")
    assert "word" not in json.dumps(api.objects[RECORD])


def test_a_copy_that_fails_starts_the_application_again() -> None:
    api = Tenant("sqlite", **{"sortie-migration": "sortie: the disk is full"})
    with pytest.raises(MigrateError, match=r"the disk is full.*serves from sqlite again"):
        begin(api, move())
    assert (api.replicas, api.record()) == (1, {})


def test_a_database_that_will_not_do_stops_nothing() -> None:
    api = Tenant("sqlite", **{"sortie-database-check": {"problems": ["too old"]}})
    with pytest.raises(MigrateError, match=r"too old. Nothing was changed"):
        begin(api, move())
    assert (api.replicas, api.record()) == (1, {})


def test_rows_of_somebody_elses_are_never_replaced() -> None:
    api = Tenant("sqlite", **{"sortie-database-check": {**GOOD, "in_use": True}})
    with pytest.raises(MigrateError, match="holds data of the application already"):
        begin(api, move())
    assert api.replicas == 1


def test_what_a_killed_run_has_copied_is_copied_anew() -> None:
    api = Tenant("sqlite")
    begin(api, move())
    api.said["sortie-database-check"] = {**GOOD, "in_use": True}
    begin(api, move())
    assert api.commands[-1][-1] == "--replace"


def test_a_move_that_another_run_has_ended_is_not_begun_again_by_its_last_word() -> None:
    class Ended(Tenant):
        def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
            if "sortie-migration" in path:
                self.objects.pop(RECORD)
            return super().text(path, query)

    api = Ended("sqlite")
    with pytest.raises(MigrateError, match="it is not there"):
        begin(api, move())
    assert api.record() == {}


def test_a_tenant_that_is_there_has_nothing_to_move() -> None:
    assert begin(Tenant("postgresql"), move()) == {}


def test_going_back_brings_the_old_deployment() -> None:
    api = Tenant("sqlite")
    begin(api, move())
    api.deploy("postgresql")
    assert undo(api, move())
    assert (api.database, api.replicas, api.record()) == ("sqlite", 1, {})
    assert not undo(api, move())


def test_a_move_that_is_no_longer_wanted_is_undone() -> None:
    api = Tenant("sqlite")
    begin(api, move())
    assert begin(api, move("sqlite")) == {}
    assert (api.database, api.replicas, api.record()) == ("sqlite", 1, {})


def test_a_move_that_ended_without_a_word_is_not_undone_by_the_way_back() -> None:
    """What was written on PostgreSQL meanwhile would be lost."""
    api = Tenant("sqlite")
    begin(api, move())
    api.deploy("postgresql")
    assert begin(api, move("sqlite")) == REPORT
    assert api.commands[-1][:5] == ["sortie", "database", "copy", "--to", "sqlite"]
    assert (api.record()["from"], api.database) == ("postgresql", "postgresql")


def test_in_check_mode_nothing_is_stopped() -> None:
    api = Tenant("sqlite")
    assert begin(api, move(), dry_run=True) == {"from": "sqlite", "to": "postgresql"}
    assert (api.replicas, api.record()) == (1, {})


def test_the_end_forgets_the_move() -> None:
    api = Tenant("sqlite")
    begin(api, move())
    finish(api, move())
    assert api.record() == {}


def operators_secret(api: Tenant) -> None:
    data = encoded({"uri": DSN})
    api.put(KINDS["Secret"].path(SPACE, OPERATORS[0]), {"metadata": {"name": OPERATORS[0]}, "data": data})


def test_where_an_operator_runs_the_database_its_secret_says_where_it_is() -> None:
    api = Tenant("sqlite")
    operators_secret(api)
    assert begin(api, move(managed=True)) == REPORT
    assert api.addresses == [OPERATORS, OPERATORS]


def test_the_way_back_reads_the_database_that_was_in_use() -> None:
    api = Tenant("postgresql")
    api.deploy("postgresql", OPERATORS)
    assert begin(api, move("sqlite")) == REPORT
    assert api.addresses == [OPERATORS]


def test_a_dry_run_asks_for_no_database_that_an_operator_would_make() -> None:
    api = Tenant("sqlite")
    assert begin(api, move(managed=True), dry_run=True) == {"from": "sqlite", "to": "postgresql"}
    assert (api.commands, api.replicas) == ([], 1)


@pytest.mark.parametrize(("there", "managed"), [(OWN, True), (OPERATORS, False)])
def test_from_one_postgresql_to_another_the_way_leads_over_sqlite(
    there: tuple[str, str], managed: bool
) -> None:
    api = Tenant("postgresql")
    api.deploy("postgresql", there)
    with pytest.raises(MigrateError, match=r"Nothing was changed\. Move it by way of SQLite"):
        begin(api, move(managed=managed))
    assert api.replicas == 1
