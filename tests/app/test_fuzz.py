"""Whatever is sent, the server answers as its document says, and never with an error of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .server import Starter
from .tokens import service_token

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method"
)


def test_every_answer_is_a_documented_one(start: Starter, tmp_path: Path) -> None:
    app = start(SORTIE_LOGIN_ATTEMPTS="0", SORTIE_ALLOW_REGISTRATION="true", SORTIE_ACCESS_LOG="none")
    token = service_token()
    command = [
        *(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{app.port}/api/openapi.json",
        ),
        *("--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--phases", "coverage,fuzzing"),
        *("--max-examples", "3", "--seed", "1", "--no-color", "--max-response-time", "30"),
        # Takes 30 ms of hashing for each of hundreds of passwords.
        *("--exclude-path", "/api/users", "--exclude-path", "/api/auth/register"),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stdout[-5000:]
    assert not [entry for entry in app.logs() if entry["level"] in ("error", "critical")]
    assert app.get("/readyz").status == 200
