"""Risk: a secret gets into a file, or a dependency has a weakness that is known, and the checks that look for them see nothing."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.architecture.source_tree import ROOT
from tools.check_advisories import REQUIRED, main


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-----BEGIN OPENSSH PRIVATE" + " KEY-----", "Private Key"),
        ("id = 'AKIA" + "IOSFODNN7QXZPLMW'", "AWS Access Key"),
        ("url = 'https://ann:" + "Tr0ub4dor@example.net/x'", "Basic Auth Credentials"),
        ("ghp_" + "aB3dE5gH7jK9" * 3, "GitHub Token"),
        (f"value = '{hashlib.sha256(b'random enough').hexdigest()}'", "Hex High Entropy String"),
    ],
)
def test_a_secret_in_a_file_is_found(text: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f"a = 1\n{text}\n")
    done = subprocess.run([ROOT / "tools" / "check_secrets.sh", file], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode != 0
    assert kind in done.stdout
    assert f"{file}:2" in done.stdout


class Osv(BaseHTTPRequestHandler):
    """The query of OSV's API (POST /v1/query, one package and version), which knows one weakness of one package. No pages, no batches."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = asked["package"]["name"] == "asyncssh" and asked["version"] == "2.14.0"
        self._answer({"vulns": [WEAKNESS]} if known else {})

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


WEAKNESS = {
    "id": "GHSA-test-test-test",
    "summary": "a message can be left out",
    "modified": "2024-01-01T00:00:00Z",
    "published": "2024-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "asyncssh", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.14.2"}]}],
        }
    ],
}


@contextmanager
def osv() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def test_a_known_weakness_is_told_with_the_version_that_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "constraints.txt"
    with osv() as url:
        file.write_text("asyncssh==2.14.0\norjson==3.11.0\n")
        assert main(["--file", str(file), "--osv-url", url]) == 1
        assert capsys.readouterr().out.splitlines() == [
            "asyncssh 2.14.0: GHSA-test-test-test, mended in 2.14.2",
            "2 packages asked about, 1 known weaknesses",
        ]
        file.write_text("asyncssh==2.14.2\n")
        assert main(["--file", str(file), "--osv-url", url]) == 0


def test_who_cannot_be_asked_is_told_and_a_failure_only_where_that_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("asyncssh==2.14.0\n")
    said = ["--file", str(file), "--osv-url", "http://127.0.0.1:1/v1/query"]
    assert main(said) == 0
    assert "NOT CHECKED for known weaknesses: " in capsys.readouterr().err
    monkeypatch.setenv(REQUIRED, "1")
    assert main(said) == 1
