# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes generated values of a tenant's Secret anew."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    Place,
    TenantApi,
    container_of,
    read_secrets,
    running_pod,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._exec import ExecError, Process
from ansible_collections.sortie.platform.plugins.module_utils._secrets import (
    PREVIOUS_SIGNING_KEY,
    SIGNING_KEY,
    encode,
    generated,
    restart,
)
from ansible_collections.sortie.platform.plugins.module_utils._state import SECRET

ADMIN_PASSWORD, ADMIN = "admin-password", "admin"  # nosec B105


class RotateError(Exception):
    """What happened, what state things are in, and what to do next."""


def rotate(
    api: TenantApi, place: Place, keys: Sequence[str], *, keep_previous: bool = True, dry_run: bool = False
) -> list[str]:
    """Make `keys` anew and restart what reads them; returns the keys of the Secret that changed or would.

    `keep_previous`: the application goes on to accept the sessions that the signing key of before signed.
    """
    try:
        there = read_secrets(api, place)
        missing = [key for key in keys if not there.get(key)]
        if missing:
            raise RotateError(
                f"Secret {SECRET} in namespace {place.namespace} has no {', '.join(missing)}. Nothing was changed. "
                f"Next: ansible-playbook deploy.yml --limit {place.tenant}"
            )
        forgotten = [PREVIOUS_SIGNING_KEY] if not keep_previous and PREVIOUS_SIGNING_KEY in there else []
        values = {key: b"" if dry_run else generated(key) for key in keys}
        if SIGNING_KEY in keys and keep_previous:
            values[PREVIOUS_SIGNING_KEY] = there[SIGNING_KEY].encode()
        if not dry_run:
            if ADMIN_PASSWORD in keys:
                _set_password(api, place, values[ADMIN_PASSWORD])
            data = {**encode(values), **dict.fromkeys(forgotten)}
            path = KINDS["Secret"].path(place.namespace, SECRET)
            api.send("PATCH", path, {"data": data}, "application/merge-patch+json")
            if SIGNING_KEY in keys:
                restart(api, place.namespace)
    except (BackupError, ClusterError) as error:
        raise RotateError(
            f"{error}. What was changed by then is whole. Next: run the rotation again, it makes all of them anew"
        ) from error
    return sorted([*values, *forgotten])


def _set_password(api: TenantApi, place: Place, password: bytes) -> None:
    """Sets the administrator's password, which ends their sessions."""
    container = container_of(running_pod(api, place))
    command = ["sortie", "user", "reset-password", ADMIN, "--password-stdin"]
    try:
        with Process(api, container, command, stdin=True) as process:
            process.send(io.BytesIO(password + b"\n"))
            process.output()
    except ExecError as error:
        raise RotateError(
            f"the password of {ADMIN} was not set: {error}. Nothing was changed. "
            f"Next: mend that and run the rotation again, or leave the password: -e rotate_keys={SIGNING_KEY}"
        ) from error
