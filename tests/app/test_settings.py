"""The table of settings: parser, messages, documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortie import settings

from .server import run_command


def test_without_anything_the_guides_values_are_used() -> None:
    read = settings.read({})
    assert (read.port, read.db, read.db_type, read.access_expiry) == (8080, "/data/sortie.db", "sqlite", 900)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("1h30m", 5400), ("24h", 86400), ("90", 90), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert settings.read({"SORTIE_JWT_ACCESS_EXPIRY": text}).access_expiry == seconds


def test_every_wrong_one_is_named_in_one_message_and_the_exit_code_is_2() -> None:
    wrong = {
        "SORTIE_PORT": "eighty",
        "SORTIE_DB_TYPE": "oracle",
        "SORTIE_PRIMARY_COLOR": "red",
        "SORTIE_JWT_SECRET": "too-short-and-never-shown",
        "SORTIE_JWT_ACCESS_EXPIRY": "soon",
        "SORTIE_LOGO_URL": "javascript:alert(1)",
        "SORTIE_ALLOW_REGISTRATION": "perhaps",
        "SORTIE_TRUSTED_PROXIES": "10.0.0.0/99",
        "SORTIE_MAX_BODY": "much",
        "SORTIE_CONFIG": "/nowhere/branding.json",
    }
    result = run_command(**wrong)
    assert result.returncode == 2
    for name in wrong.keys() - {"SORTIE_CONFIG"}:
        assert name in result.stderr
    assert "too-short" not in result.stderr
    config = run_command(SORTIE_CONFIG="/nowhere/branding.json", SORTIE_DB="/tmp/none/x.db")
    assert config.returncode == 2
    assert "/nowhere/branding.json" in config.stderr


def test_what_kubernetes_puts_into_sortie_port_is_explained() -> None:
    result = run_command(SORTIE_PORT="tcp://10.43.0.1:8080")
    assert result.returncode == 2
    assert "enableServiceLinks: false" in result.stderr


def test_postgres_needs_an_address() -> None:
    with pytest.raises(settings.SettingsError, match="SORTIE_DB_HOST"):
        settings.read({"SORTIE_DB_TYPE": "postgres"})


def test_an_unknown_setting_is_told_with_the_nearest_one() -> None:
    assert settings.unknown({"SORTIE_PROT": "1"}) == ["SORTIE_PROT is not a setting; SORTIE_PORT is"]


def test_options_of_the_command_line_win() -> None:
    assert settings.read({"SORTIE_DB": "/a"}, {"SORTIE_DB": "/b"}).db == "/b"


def test_the_documentation_has_the_table() -> None:
    docs = Path(__file__).parents[2] / "docs/app.md"
    assert settings.documentation() in docs.read_text()
