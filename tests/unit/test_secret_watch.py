"""The watch over bin/test finds a secret where none may be, and does not pass without having looked for one."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.secret_watch import Watch

SECRET = "".join(str(number) for number in range(40, 70))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "default.log").write_text("TASK [Make the Secrets]\nchanged: [localhost]\n")
    return directory


@pytest.fixture
def watch(tmp_path: Path, logs: Path) -> Watch:
    keys = tmp_path / "local" / "0" / "backup-keys"
    keys.mkdir(parents=True)
    (keys / "acme").write_text(SECRET)
    return Watch(logs, tmp_path / "local")


def verdict(watch: Watch) -> int:
    watch.end()
    watch.run()
    return watch.verdict()


def test_output_without_secrets_passes(watch: Watch) -> None:
    assert verdict(watch) == 0


@pytest.mark.parametrize("form", [SECRET, base64.b64encode(SECRET.encode()).decode()])
def test_a_secret_in_a_log_is_told_without_its_value(
    watch: Watch, logs: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (logs / "tenants.log").write_text(f'"stdout": "{form}"\n')
    assert verdict(watch) == 1
    told = capsys.readouterr().out
    assert "FAILED backup-keys/acme is in tenants.log" in told
    assert form not in told


def test_nothing_to_look_for_is_no_success(tmp_path: Path, logs: Path) -> None:
    assert verdict(Watch(logs, tmp_path / "nothing")) == 2
