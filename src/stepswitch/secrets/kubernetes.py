"""Values in secrets of Kubernetes, read through its API at the moment of use. Called by `credential_sources`.

How the API is reached is read anew each time: the token of a service account is renewed while the service runs. A kubeconfig may have a
token, a file with one, or the files of a client certificate; programs that fetch tokens are not run.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from stepswitch.domain.errors import CredentialError, ErrorCode
from stepswitch.engine.credential_records import KubernetesValue
from stepswitch.secrets.tokens import can_be_sent

LIMIT_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 4 * 1024 * 1024
"""A secret has at most a megabyte, which base64 and JSON make longer."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMES: Final = {
    "namespace": re.compile(_LABEL),
    "secret": re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*"),
    "key": re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,253}"),
}


@dataclass(frozen=True, slots=True)
class _Access:
    """How the API is reached, for one call."""

    server: str
    trusted: ssl.SSLContext
    token: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that a kubeconfig's current context means, or the one that this process runs in."""

    config: Path | None
    environment: Mapping[str, str]
    account: Path = SERVICE_ACCOUNT

    def faults(self, source: KubernetesValue) -> list[tuple[str, str]]:
        """Return what is wrong with a source before the API is asked."""
        return [
            (name, f"is no {name} as Kubernetes names them") for name, form in _NAMES.items() if not form.fullmatch(getattr(source, name))
        ]

    async def value(self, source: KubernetesValue) -> str:
        """Return a value; raises CredentialError with what the API says."""
        if self.faults(source):
            raise _unavailable("it names no secret of Kubernetes")
        place = f"{source.namespace}/{source.secret}"
        access = await asyncio.to_thread(self._access)
        answer = await _get(access, f"/api/v1/namespaces/{source.namespace}/secrets/{source.secret}", place)
        data = answer.get("data")
        held = data.get(source.key) if isinstance(data, dict) else None
        if not isinstance(held, str):
            raise _unavailable(f"the secret {place} has no key {source.key!r}")
        try:
            return base64.b64decode(held, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _unavailable(f"the key {source.key!r} of the secret {place} is no text in UTF-8") from None

    def _access(self) -> _Access:
        try:
            return self._of_pod() if self.config is None else _of_config(self.config)
        except (OSError, ValueError, yaml.YAMLError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            what = f"the kubeconfig {self.config}" if self.config is not None else "the service account of the pod"
            raise _unavailable(f"{what} cannot be used: {why}") from None

    def _of_pod(self) -> _Access:
        host, port = (self.environment.get(f"KUBERNETES_SERVICE_{each}") for each in ("HOST", "PORT"))
        if not host:
            raise _unavailable("this is no pod of Kubernetes, and the setting kubernetes_config names no kubeconfig")
        shown = f"[{host}]" if ":" in host else host
        trusted = ssl.create_default_context(cafile=self.account / "ca.crt")
        return _Access(f"https://{shown}:{port or 443}", trusted, (self.account / "token").read_text().strip())


def _of_config(file: Path) -> _Access:
    config = yaml.safe_load(file.read_bytes())
    context = _entry(config, "context", _field(config, "current-context"))
    cluster = _entry(config, "cluster", _field(context, "cluster"))
    user = _entry(config, "user", _field(context, "user"))
    server = _field(cluster, "server")
    if not server.startswith("https://") or cluster.get("insecure-skip-tls-verify"):
        raise _unavailable(f"the kubeconfig {file} reaches its cluster without TLS, or without looking at its certificate")
    trusted = ssl.create_default_context(
        cafile=_beside(file, cluster.get("certificate-authority")),
        cadata=_decoded(cluster.get("certificate-authority-data")),
    )
    return _Access(server.rstrip("/"), trusted, _identity(file, user, trusted))


def _identity(file: Path, user: Mapping[str, Any], trusted: ssl.SSLContext) -> str:
    """Return the token of a user, an empty one where he has a certificate, which `trusted` then shows."""
    if isinstance(token := user.get("token"), str) and token:
        return token
    if (token_file := _beside(file, user.get("tokenFile"))) is not None:
        return token_file.read_text().strip()
    certificate = _beside(file, user.get("client-certificate"))
    if certificate is None:
        raise _unavailable(f"the user of the kubeconfig {file} has no token, no tokenFile, and no files of a client certificate")
    trusted.load_cert_chain(certificate, _beside(file, user.get("client-key")))
    return ""


def _entry(config: object, kind: str, name: str) -> dict[str, Any]:
    entries = config.get(f"{kind}s") if isinstance(config, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(found := entry.get(kind), dict):
            return found
    raise _unavailable(f"the kubeconfig has no {kind} called {name!r}")


def _field(holder: object, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise _unavailable(f"the kubeconfig does not say {name}")
    return value


def _beside(file: Path, named: object) -> Path | None:
    """Return a file that a kubeconfig names, relative to where that is."""
    return file.parent / named if isinstance(named, str) and named else None


def _decoded(data: object) -> str | None:
    return base64.b64decode(data).decode() if isinstance(data, str) and data else None


async def _get(access: _Access, path: str, place: str) -> dict[str, Any]:
    if not can_be_sent(access.token):
        raise _unavailable("the token for Kubernetes has characters that no token has")
    headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
    try:
        async with httpx.AsyncClient(timeout=LIMIT_SECONDS, verify=access.trusted) as client:
            answer = await client.get(access.server + path, headers={"Accept": "application/json", **headers})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _unavailable(f"Kubernetes cannot be reached at {access.server}: {error or type(error).__name__}") from None
    try:
        plain = answer.json() if len(answer.content) <= LARGEST_ANSWER else None
    except ValueError:
        plain = None
    if answer.status_code == httpx.codes.OK and isinstance(plain, dict):
        return plain
    said = plain.get("message") if isinstance(plain, dict) else None
    raise _unavailable(
        f"Kubernetes at {access.server} does not give the secret {place}: {answer.status_code}{f' ({said})' if said else ''}"
    )


def _unavailable(message: str) -> CredentialError:
    return CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message)
