"""The scenario's tenants."""

from __future__ import annotations

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant


@pytest.fixture(scope="session")
def demo(live: Live) -> Tenant:
    return Tenant(live, "demo")


@pytest.fixture(scope="session")
def spare(live: Live) -> Tenant:
    return Tenant(live, "spare")
