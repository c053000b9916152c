"""A tenant's PostgreSQL is tried before the tenant is touched, and nothing of the trial stays."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS
from ansible_collections.sortie.platform.plugins.module_utils._database import CHECK, Wanted, check
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import encoded
from ansible_collections.sortie.platform.tests.unit.plugins.module_utils.test_task_pod import Pods

DSN = "postgresql://sortie:word@db/sortie"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sortie-acme", "labels": {}}}
SECRET = KINDS["Secret"].path("sortie-acme", "sortie-secrets")
SPACE = KINDS["Namespace"].path(None, "sortie-acme")
LOG = KINDS["Pod"].path("sortie-acme", CHECK) + "/log"


def cluster(*problems: str, stored: str = "", namespace: bool = True, log: str | None = None) -> Pods:
    api = Pods({"phase": "Failed" if problems else "Succeeded"})
    api.logs[LOG] = json.dumps({"problems": problems, "server": "15.14"}) if log is None else log
    if namespace:
        api.put(SPACE, NAMESPACE)
    if stored:
        secret = {
            "kind": "Secret",
            "metadata": {"name": "sortie-secrets"},
            "data": encoded({"database-dsn": stored}),
        }
        api.put(SECRET, secret)
    return api


def wanted(**given: Any) -> Wanted:
    return Wanted(**{"namespace": NAMESPACE, "image": "sortie:1", "dsn": DSN, **given})


def test_a_new_address_is_tried_from_a_secret_of_its_own_that_goes() -> None:
    api = cluster(stored="postgresql://old")
    assert check(api, wanted()) == {"problem": "", "server": "15.14", "in_use": False}
    (pod,) = api.made
    assert pod["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == CHECK
    assert not [path for path in api.objects if path.endswith(CHECK)]
    assert api.objects[SECRET]["data"] == encoded({"database-dsn": "postgresql://old"})


def test_the_address_in_use_is_not_tried_again() -> None:
    api = cluster(stored=DSN)
    assert check(api, wanted()) == {}
    assert api.made == []


def test_of_a_tenant_that_does_not_run_it_is_tried_again() -> None:
    assert check(cluster(stored=DSN), wanted(unsettled=True))["problem"] == ""


def test_every_problem_is_told() -> None:
    assert check(cluster("too old", "no rights"), wanted())["problem"] == "too old; no rights"


def test_a_namespace_that_was_made_for_it_goes_if_the_database_will_not_do() -> None:
    api = cluster("too old", namespace=False)
    check(api, wanted())
    assert SPACE not in api.objects
    api = cluster(namespace=False)
    check(api, wanted())
    assert SPACE in api.objects


def test_an_external_secret_is_used_where_it_is() -> None:
    api = cluster(stored=DSN)
    assert check(api, wanted(dsn="", unsettled=True))["problem"] == ""
    assert (
        api.made[0]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"]
        == "sortie-secrets"
    )
    assert "no key database-dsn" in check(cluster(), wanted(dsn="", unsettled=True))["problem"]


def test_an_image_that_knows_no_such_command_is_told() -> None:
    assert (
        "did not tell: sortie: invalid choice"
        in check(cluster(log="sortie: invalid choice"), wanted())["problem"]
    )
