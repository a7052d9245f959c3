"""From the VIM location that a step means to the API of its cluster: looked up in the inventory, with who we are there. Called by `kubernetes`.

TLS is verified always; only an API on this very machine may be without (the inventory takes no other).
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import Cluster, Device, ErrorCode, Reference, StepContext, Values, read_url
from stepswitch.steps.http_inputs import Identity
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.kubernetes_api import Api
from stepswitch.steps.kubernetes_inputs import namespace_of
from stepswitch.steps.kubernetes_times import Times
from stepswitch.steps.login_inputs import text_of
from stepswitch.steps.vim_places import CLUSTER, way_to

DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Target:
    """A namespace of a cluster. `location` is the id of its VIM location."""

    location: str
    cluster: Cluster
    namespace: str

    @property
    def pods(self) -> str:
        """The path of its pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def secrets(self) -> str:
        """The path of its Secrets."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def jobs(self) -> str:
        """The path of its jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def events(self) -> str:
        """The path of its events."""
        return f"/api/v1/namespaces/{self.namespace}/events"


async def find_target(inputs: Values, context: StepContext) -> Target:
    """Return where a step acts; raises InputFaultError with what there is."""
    faults, inventory = Faults(), await context.inventory()
    namespace = faults.attempt(lambda: namespace_of(inputs))
    name = (text_of(inputs, "vimLocation") or "").strip()
    cluster = faults.settled(faults.attempt(lambda: way_to(inventory, name, CLUSTER)))
    return Target(name, cluster, namespace or cluster.namespace or DEFAULT_NAMESPACE)


async def open_api(target: Target, context: StepContext, times: Times) -> Api:
    """Return the API of a cluster, to be closed; raises InputFaultError, and CredentialError where a credential may not be used there."""
    cluster = target.cluster
    url = read_url(cluster.url)
    device = Device(url.host, url.port)
    token = await _secret(cluster.token, context, device)
    key = await _secret(cluster.client_key, context, device)
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise InputFaultError(ErrorCode.BAD_KEY, f"nothing was sent: the token for the VIM location {target.location!r} is none")
    identity = Identity(
        authorities=cluster.ca_certificates,
        certificate=None if key is None else cluster.client_certificate,
        key=None if key is None else key.encode(errors="replace"),
    )
    trusted = await asyncio.to_thread(_trust, identity, target.location)
    return Api(cluster.url, trusted, token, connect_seconds=times.connect, answer_seconds=times.answer)


async def _secret(reference: Reference | None, context: StepContext, device: Device) -> str | None:
    return None if reference is None else (await context.secret(reference, at=device)).strip()


def _trust(identity: Identity, location: str) -> ssl.SSLContext:
    from stepswitch.steps.http_tls import trust  # noqa: PLC0415 - nobody waits for drivers that no step needs

    try:
        return trust(identity)
    except InputFaultError as error:
        if error.code is ErrorCode.EXHAUSTED:
            raise InputFaultError(error.code, str(error)) from None
        what = "its 'clientCertificate' and 'clientKey'" if error.code is ErrorCode.BAD_KEY else "its 'caCertificates'"
        message = f"nothing was sent: the VIM location {location!r} of the inventory cannot be used for TLS: {what} cannot be read"
        raise InputFaultError(error.code, message) from None
