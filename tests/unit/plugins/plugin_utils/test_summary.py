"""The end of a run tells what became of each tenant, and what to type next."""

from __future__ import annotations

from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import tenant_plan
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import (
    table,
    tenant_failure,
    tenant_outcomes,
    tenant_summary,
    url,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import absent, found, info, tenant


def outcomes(
    there: dict[str, Any] | None = None,
    steps: dict[str, Any] | None = None,
    check_mode: bool = False,
    **given: Any,
) -> list[dict[str, Any]]:
    one = tenant(**given)
    plan = tenant_plan([one], info(acme=there or found()), check_mode)
    return tenant_outcomes(plan, steps or {}, check_mode)


CREATED = {"catalog": {"changes": {"acme": ["application wiki created"]}}}


def test_the_usual_port_is_left_out_of_the_url() -> None:
    assert url(tenant()) == "https://acme.example.com"
    assert url(tenant(ingress_port=8443)) == "https://acme.example.com:8443"
    assert url(tenant(tls="none", ingress_port=80)) == "http://acme.example.com"


def test_columns_are_as_wide_as_their_values() -> None:
    rows = [{"tenant": "acme", "state": "serving"}, {"tenant": "globex-research", "state": ""}]
    assert table(rows, ["tenant", "state"]) == (
        "TENANT           STATE\nacme             serving\nglobex-research"
    )


def test_an_unchanged_run_says_so() -> None:
    text = tenant_summary(outcomes())
    assert "acme    https://acme.example.com  serving, unchanged" in text
    assert "Nothing had to be changed." in text


def test_what_changed_is_listed() -> None:
    text = tenant_summary(outcomes(steps=CREATED))
    assert "serving, changed" in text
    assert "Changed:\n  acme: application wiki created" in text


def test_where_the_first_password_is_can_be_typed() -> None:
    assert tenant_summary(outcomes()).endswith(
        "First password of user admin:\n"
        "  acme: kubectl --kubeconfig /cluster/kubeconfig --namespace sortie-acme get secret sortie-secrets "
        "--output jsonpath='{.data.admin-password}' | base64 --decode\n"
    )


def test_a_password_of_the_vault_is_there() -> None:
    found_outcome = outcomes(secrets="vault", jwt_secret="k" * 32, admin_password="p" * 12)[0]
    assert found_outcome["password"] == "sortie_admin_password, in the inventory's vault"


def test_check_mode_tells_what_would_change() -> None:
    text = tenant_summary(outcomes(steps=CREATED, check_mode=True), check_mode=True)
    assert "1 changes would be made" in text
    assert "Would change:\n  acme: application wiki created" in text
    assert "password" not in text


def test_check_mode_of_a_new_tenant_tells_the_number_of_objects() -> None:
    assert outcomes(absent(), check_mode=True)[0]["state"] == "3 objects would be made"


def test_a_refused_tenant_was_not_changed() -> None:
    outcome = outcomes(found(namespace_owner="globex"))[0]
    assert tenant_failure(outcome) == (
        "acme refused: namespace sortie-acme belongs to tenant globex. Set another sortie_namespace\n"
        "  State: nothing of it was changed. Other tenants are not affected.\n"
        "  Next: the same command again, with --limit acme"
    )


def test_a_failed_tenant_names_reason_state_and_next_command() -> None:
    outcome = outcomes(steps={**CREATED, "rollout": {"failures": {"acme": "pod sortie-1 crashed"}}})[0]
    assert tenant_failure(outcome) == (
        "acme failed: pod sortie-1 crashed\n"
        "  State: 1 changes were made before that, as listed above. Other tenants are not affected.\n"
        "  Next: kubectl --kubeconfig /cluster/kubeconfig --namespace sortie-acme get pods,events   and then   "
        "the same command again, with --limit acme"
    )


def test_a_failed_tenant_has_no_password_in_the_summary() -> None:
    failed = outcomes(steps={"rollout": {"failures": {"acme": "crashed"}}})
    assert "password" not in tenant_summary(failed)
    assert "Nothing had to be changed" not in tenant_summary(failed)
