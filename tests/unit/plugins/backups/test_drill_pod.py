"""What a drill makes of the tenant's pod."""

from __future__ import annotations

from ansible_collections.sortie.platform.plugins.module_utils._drill import without_litestream


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
