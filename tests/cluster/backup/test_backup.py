"""Snapshots of tenants that serve and write meanwhile, and what brings them back."""

from __future__ import annotations

import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import inspect, sha256_of
from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import INVENTORY, Tenant, rows, writing


def test_all_tenants_are_backed_up_at_once_and_each_has_a_line(
    live: Live, demo: Tenant, spare: Tenant
) -> None:
    answer = live.playbook("backup", "-i", str(INVENTORY))
    assert answer.returncode == 0, answer.stdout
    for tenant in (demo, spare):
        record = tenant.record("backup")
        assert record["ok"] is True
        line = next(line for line in answer.stdout.splitlines() if line.split()[:2] == [tenant.name, "good"])
        assert record["snapshot"] in line
        assert record["sha256"][:12] in line
        assert tenant.key.stat().st_mode & 0o777 == 0o600
        assert tenant.snapshots()[-1] == record["snapshot"]
    assert spare.key.read_bytes() != demo.key.read_bytes()


def test_a_snapshot_under_load_holds_all_that_was_acknowledged_and_is_whole(
    demo: Tenant, tmp_path: Path
) -> None:
    with writing(demo) as writer:
        before = demo.launches()
        demo.good("backup")
        written = demo.launches() - before
        assert writer.unsure == 0
    record = demo.record("backup")
    facts = demo.database(record["snapshot"], tmp_path / "sortie.db")
    assert facts.problems == []
    assert facts.tables == record["tables"]
    assert sha256_of(tmp_path / "sortie.db") == record["sha256"]
    # It went on serving and writing meanwhile.
    assert written > 0
    assert before <= rows(facts, "analytics") <= before + written


def test_what_a_snapshot_holds_can_be_read_with_restic_alone(demo: Tenant) -> None:
    snapshot = demo.snapshots()[-1]
    manifest = json.loads(demo.restic("dump", snapshot, "/manifest.json"))
    assert manifest["tenant"] == "demo"
    assert set(json.loads(demo.restic("dump", snapshot, "/secrets.json"))) >= {"admin-password", "jwt-secret"}


def test_a_dry_run_tells_the_difference_and_a_restore_makes_it_and_can_be_taken_back(demo: Tenant) -> None:
    demo.good("backup")
    demo.add("after-the-snapshot")
    told = demo.good("restore", "--check", restore_snapshot="latest")
    line = next(line.split() for line in told.splitlines() if line.split()[:1] == ["applications"])
    assert int(line[2]) == int(line[1]) - 1
    assert line[3] == "-1"
    assert "after-the-snapshot" in demo.applications()

    told = demo.good("restore", restore_snapshot="latest")
    assert "after-the-snapshot" not in demo.applications()
    safety = re.search(r"restore_snapshot=(\w+) --limit demo", told)
    assert safety
    demo.good("restore", restore_snapshot=safety[1])
    assert "after-the-snapshot" in demo.applications()
    assert demo.call("DELETE", "/api/apps/after-the-snapshot").status in (200, 204)


def test_a_snapshot_goes_into_another_tenant_only_when_told(demo: Tenant, spare: Tenant) -> None:
    first_password = spare.secret()
    told = spare.refused("restore", restore_snapshot=demo.snapshots()[-1])
    assert "holds no snapshot" in told
    assert "name one that is there" in told
    assert spare.applications() != demo.applications()
    demo.good("restore", restore_snapshot="latest", restore_into="spare")
    assert spare.applications() == demo.applications()
    assert spare.secret() == first_password
    safety = spare.record("restore")["safety"]
    spare.good("restore", restore_snapshot=safety)
    assert spare.applications() != demo.applications()


def test_a_drill_starts_the_application_on_the_snapshot_and_leaves_nothing(live: Live, demo: Tenant) -> None:
    told = demo.good("drill")
    assert "comes back" in told
    record = demo.record("drill")
    assert record["ok"] is True
    assert record["recovery_seconds"] > 0
    assert record["snapshot"] == demo.snapshots()[-1]
    assert any("integrity_check" in check for check in record["checks"])
    assert any("/api/apps" in check for check in record["checks"])
    assert live.kubectl("get", "namespace", "sortie-demo-drill", check=False).returncode != 0
    metrics = ("sortie_backup_last_success_timestamp_seconds", "sortie_drill_recovery_seconds")

    def shown() -> bool:
        text = live.get("demo", "/metrics").body.decode()
        return all(f"\n{name} " in text for name in metrics)

    # Kubelet brings a changed ConfigMap to a running pod within about a minute.
    eventually(shown, "the records are in /metrics", 180)


def test_an_export_is_a_plain_database_with_its_manifest(live: Live, demo: Tenant) -> None:
    snapshot = demo.snapshots()[-1]
    for variables in ({}, {"export_snapshot": snapshot}):
        directory = live.local / f"exported-{len(variables)}"
        demo.good("export", export_dir=str(directory), **variables)
        (file,) = directory.glob("sortie-demo-*.db")
        manifest = json.loads(file.with_suffix(".manifest.json").read_text())
        facts = inspect(file, full=True)
        assert (facts.problems, facts.tables) == ([], manifest["database"]["tables"])
        assert manifest["database"]["sha256"] == sha256_of(file)
        assert manifest.get("snapshot", "") == variables.get("export_snapshot", "")
        assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
        shutil.rmtree(directory)


def test_a_watch_is_asked_after_a_good_backup_and_after_no_other(demo: Tenant, tmp_path: Path) -> None:
    asked = []

    class Watch(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Watch)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ping = {"backup_ping_url": f"http://127.0.0.1:{server.server_port}/a-secret-path"}
    try:
        told = demo.good("backup", **ping)
        assert asked == ["/a-secret-path"]
        wrong = tmp_path / "key"
        wrong.write_text("another key\n")
        told += demo.refused("backup", **ping, backup_password_file=str(wrong))
        assert asked == ["/a-secret-path"]
        assert "a-secret-path" not in told
    finally:
        server.shutdown()
        server.server_close()
    told = demo.good("backup", **ping)
    assert "will take it for missing" in " ".join(told.split())


def test_the_status_has_the_age_of_the_last_good_backup_and_drill(live: Live) -> None:
    answer = live.playbook("status", "-i", str(INVENTORY), "-e", "status_format=json", "--limit", "demo")
    assert answer.returncode == 0, answer.stdout
    assert '"backup_age_seconds": ' in answer.stdout
    assert '"drill_age_seconds": null' not in answer.stdout
