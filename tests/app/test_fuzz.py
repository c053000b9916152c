"""Whatever is sent, the server answers as its document says, and never with an error of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .server import App, Starter
from .tokens import service_token

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method"
)


# Whoever makes these waits 30 ms for the hash of each password, so they are asked less.
SLOW = ("/api/users", "/api/auth/register")


def test_every_answer_is_a_documented_one(start: Starter, tmp_path: Path) -> None:
    app = start(SORTIE_LOGIN_ATTEMPTS="0", SORTIE_ALLOW_REGISTRATION="true", SORTIE_ACCESS_LOG="none")
    without = [part for path in SLOW for part in ("--exclude-path", path)]
    fuzz(app, tmp_path, "--phases", "coverage,fuzzing", "--max-examples", "3", *without)
    only = [part for path in SLOW for part in ("--include-path", path)]
    fuzz(app, tmp_path, "--phases", "fuzzing", "--max-examples", "15", *only)
    assert not [entry for entry in app.logs() if entry["level"] in ("error", "critical")]
    assert app.get("/readyz").status == 200


def fuzz(app: App, directory: Path, *arguments: str) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"http://127.0.0.1:{app.port}/api/openapi.json"),
        *("--header", f"Authorization: Bearer {service_token()}", "--checks", CHECKS),
        *("--seed", "1", "--no-color", "--max-response-time", "30", *arguments),
    ]
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stdout[-5000:]
