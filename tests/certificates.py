"""A certificate for tests of TLS."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest


@pytest.fixture
def certificates(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a folder with a key and a certificate for localhost that signs itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program to make a certificate with")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    return tmp_path
