"""Restic keys that cost nothing to open.

Restic spends half a second of processor on each call: its key is derived by scrypt, whose parameters stand in the key's
file. They are what makes a short password safe, and the tests' passwords guard nothing; so the tests' repositories have
the same master key behind cheap parameters. Everything else is restic's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

_CHEAP = {"N": 2, "r": 1, "p": 1}
_IV, _MAC = 16, 16


def make_repository(repository: Path, password: str) -> None:
    """A new repository whose key is cheap to open."""
    environment = {**os.environ, "RESTIC_PASSWORD": password}
    command = ["restic", "--no-cache", "--quiet", "--repo", str(repository), "init"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    set_password(repository, password, password)


def set_password(repository: Path, old: str, new: str) -> None:
    """Put the key of the only password of a repository behind another password, by cheap parameters."""
    (file,) = (repository / "keys").iterdir()
    key = json.loads(file.read_text())
    master = _open(_derive(key, old), base64.b64decode(key["data"]))
    key |= _CHEAP
    key["data"] = base64.b64encode(_seal(_derive(key, new), master)).decode()
    content = json.dumps(key).encode()
    # A file of restic's is named by the sha256 of its content.
    file.with_name(hashlib.sha256(content).hexdigest()).write_bytes(content)
    file.unlink()


def _derive(key: dict[str, str], password: str) -> bytes:
    salt = base64.b64decode(key["salt"])
    cost = {name.lower(): int(key[name]) for name in _CHEAP}
    return hashlib.scrypt(password.encode(), salt=salt, dklen=64, maxmem=1 << 28, **cost)


def _cipher(derived: bytes, iv: bytes) -> Cipher[modes.CTR]:
    return Cipher(algorithms.AES(derived[:32]), modes.CTR(iv))


def _mac(derived: bytes, iv: bytes, text: bytes) -> bytes:
    """Poly1305-AES, whose one-time part is the initialisation vector under AES."""
    nonce = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor().update(iv)  # noqa: S305 (one block, as Poly1305-AES has it)
    return Poly1305.generate_tag(derived[48:] + nonce, text)


def _open(derived: bytes, data: bytes) -> bytes:
    iv, text, mac = data[:_IV], data[_IV:-_MAC], data[-_MAC:]
    if _mac(derived, iv, text) != mac:
        raise InvalidSignature("the password is not the key's")
    return _cipher(derived, iv).decryptor().update(text)


def _seal(derived: bytes, content: bytes) -> bytes:
    iv = os.urandom(_IV)
    text = _cipher(derived, iv).encryptor().update(content)
    return iv + text + _mac(derived, iv, text)
