"""The scenario's tenants."""

from __future__ import annotations

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant
from ansible_collections.sortie.platform.tests.restic_key import make_repository, set_password


@pytest.fixture(scope="session")
def demo(live: Live) -> Tenant:
    """Most tests are about this one, so its repository is cheap to open; `spare` has one of the playbooks' own making."""
    tenant = Tenant(live, "demo")
    if not tenant.key.exists():
        tenant.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        tenant.key.touch(mode=0o600)
        tenant.key.write_text("a key of the tests\n")
        make_repository(tenant.repository, "a key of the tests")
    else:
        password = tenant.key.read_text().strip()
        set_password(tenant.repository, password, password)
    return tenant


@pytest.fixture(scope="session")
def spare(live: Live) -> Tenant:
    return Tenant(live, "spare")
