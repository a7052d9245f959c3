"""K8S and TLS. Risk: a token goes to somebody who answers in place of the cluster."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepswitch.plugin import Cluster, ErrorCode, Inventory, Outcome, Reference, Result, VimLocation
from stepswitch.steps.kubernetes import KubernetesStep
from tests.certificates import certificate_files, own_certificate
from tests.kubernetes.api_server import TOKEN, FakeCluster
from tests.steps.clusters import QUICK, Lab
from tests.steps.contexts import RecordingContext


@dataclass
class Talk:
    """What came of one run."""

    outcome: Outcome
    context: RecordingContext
    cluster: FakeCluster = field(repr=False)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[FakeCluster]:
    async with FakeCluster(own_certificate(tmp_path)[1]) as opened:
        yield opened


async def run(cluster: FakeCluster, credentials: dict[str, str] | None = None, **more: Any) -> Talk:
    known = Inventory(vim_locations={"paris": VimLocation("paris", kubernetes=Cluster(f"https://127.0.0.1:{cluster.port}", **more))})
    context = RecordingContext(inventory=known, credentials=credentials or {"token": TOKEN})
    return Talk(await KubernetesStep(times=QUICK).run(Lab.inputs("echo fine"), context), context, cluster)


async def test_the_certificates_of_the_inventory_count(cluster: FakeCluster, tmp_path: Path) -> None:
    talk = await run(cluster, token=Reference("token"), ca_certificates=(tmp_path / "test.pem").read_text())
    assert (talk.outcome.outputs.get("outputText"), talk.outcome.error) == ("fine\n", None)


async def test_a_server_that_nobody_vouches_for_is_told_nothing(cluster: FakeCluster) -> None:
    talk = await run(cluster, token=Reference("token"))
    assert talk.outcome.error is not None
    assert (talk.outcome.result, talk.outcome.error.code) == (Result.FAILED, ErrorCode.WRONG_CERTIFICATE)
    assert (talk.context.sent, cluster.asked) == (False, [])


async def test_a_client_certificate_opens_a_cluster(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "client")
    _, shown = own_certificate(tmp_path)
    shown.load_verify_locations(public)
    shown.verify_mode = ssl.CERT_REQUIRED
    async with FakeCluster(shown) as cluster:
        talk = await run(
            cluster,
            {"key": private.read_text()},
            client_certificate=public.read_text(),
            client_key=Reference("key"),
            ca_certificates=(tmp_path / "test.pem").read_text(),
        )
        assert (talk.outcome.outputs.get("outputText"), talk.outcome.error) == ("fine\n", None)
        talk = await run(cluster, ca_certificates=(tmp_path / "test.pem").read_text())
        assert talk.outcome.result is Result.FAILED
        assert not talk.context.sent


@pytest.mark.parametrize(
    ("credentials", "expected", "told"),
    [
        ({"key": "no key"}, ErrorCode.BAD_KEY, "its 'clientCertificate' and 'clientKey' cannot be read"),
        ({"token": "two words"}, ErrorCode.BAD_KEY, "the token for the VIM location 'paris' is none"),
        ({"none": ""}, ErrorCode.CREDENTIAL_REFUSED, "nothing was sent"),
    ],
)
async def test_a_credential_that_cannot_be_used_is_said_and_not_shown(
    cluster: FakeCluster, tmp_path: Path, credentials: dict[str, str], expected: ErrorCode, told: str
) -> None:
    certificate = (tmp_path / "test.pem").read_text()
    more = {"client_certificate": certificate, "client_key": Reference("key")} if "key" in credentials else {"token": Reference("token")}
    talk = await run(cluster, credentials, **more)
    assert talk.outcome.error is not None
    assert (talk.outcome.error.code, told in talk.outcome.error.message) == (expected, True)
    assert not [value for value in credentials.values() if value and value in talk.outcome.error.message]
    assert cluster.asked == []
