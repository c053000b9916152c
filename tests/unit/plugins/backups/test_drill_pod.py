"""What a drill makes of the tenant's pod."""

from __future__ import annotations

from ansible_collections.sortie.platform.plugins.module_utils._drill import (
    with_own_secrets,
    without_litestream,
)


def test_a_drill_never_streams_into_the_tenants_replica() -> None:
    pod = {
        "initContainers": [{"name": "litestream-restore"}, {"name": "litestream"}, {"name": "other"}],
        "containers": [{"name": "sortie"}],
        "volumes": [{"name": "data"}, {"name": "litestream"}, {"name": "replica"}, {"name": "tmp"}],
    }
    assert without_litestream(pod) == {
        "initContainers": [{"name": "other"}],
        "containers": [{"name": "sortie"}],
        "volumes": [{"name": "data"}, {"name": "tmp"}],
    }
    assert len(pod["volumes"]) == 4


def test_a_drill_needs_the_tenants_own_secret_and_no_other() -> None:
    def variable(name: str, **more: object) -> dict[str, object]:
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": name, "key": "key", **more}}}

    env = [
        variable("sortie-secrets"),
        variable("sortie-secrets", optional=True),
        variable("acme-oidc"),
        {"name": "A", "value": "b"},
    ]
    pod = with_own_secrets({"containers": [{"name": "sortie", "env": env}]})
    assert pod["containers"][0]["env"] == [
        variable("sortie-secrets"),
        variable("sortie-secrets", optional=True),
        variable("acme-oidc", optional=True),
        {"name": "A", "value": "b"},
    ]
