"""`bin/test` brings the cluster and its tenants up, and says where by SORTIE_LOCAL_DIR."""

from __future__ import annotations

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live


@pytest.fixture(scope="session")
def live() -> Live:
    return Live.of_environment()
