"""Risk: an example that somebody copies does not do what its page says. Each one runs, against a real OpenSSH server, a real NETCONF one, a router of `tests/routers`, or the cluster of `tests/kubernetes`."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.access.current_callers import OnlyCaller
from stepswitch.bootstrap import Service, installed_types, open_service
from stepswitch.cli.loading import load_settings
from stepswitch.domain.execution import ENDED, ContextType, Status
from stepswitch.domain.validation import check
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.records import Committed, TrustedKey
from stepswitch.engine.views import ExecutionView
from tests.examples.cell_api import CellApi
from tests.examples.cluster import set_up as set_up_cluster
from tests.examples.inventory import have_known
from tests.examples.machines import introduce
from tests.examples.router import running_router, set_up
from tests.examples.vro import SETTINGS, running_vro
from tests.kubernetes.api_server import FakeCluster
from tests.netconfd import Netconfd
from tests.openssh import OpenSshServer
from tests.routers.iosxr import IosXrShell
from tests.routers.scripted import RouterServer
from tests.vcenter import FakeVCenter

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
DOCUMENTS: Final = sorted(path for path in EXAMPLES.glob("*.json") if path.suffixes == [".json"])
RUNS: Final = [
    pytest.param(
        path, {"platform": expected.get("platform"), "inventory": expected.get("inventory"), **run}, id=f"{path.stem}: {run['name']}"
    )
    for path in DOCUMENTS
    for expected in [json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))]
    for run in expected["runs"]
]
SHELLS: Final = {"iosxr": IosXrShell}
SOMEBODY: Final = administrator("tester")


@pytest.fixture(scope="module")
def router() -> Iterator[OpenSshServer]:
    with running_router() as server:
        yield server


@pytest.fixture(scope="module")
def bastion() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest.fixture(scope="module")
def netconfd() -> Iterator[Netconfd]:
    with Netconfd() as server:
        yield server


@pytest.fixture
async def service(tmp_path: Path, router: OpenSshServer) -> AsyncIterator[Service]:
    opened = await open_service(
        load_settings({"data_dir": tmp_path / "data", "http_allowed_networks": "127.0.0.1", **SETTINGS}), callers=OnlyCaller(SOMEBODY)
    )
    for host in ("127.0.0.1", "127.0.0.2"):
        await opened.host_keys.trust(TrustedKey(host, router.port, router.host_public_key, "tester", 0))
    await opened.start()
    yield opened
    await opened.stop(grace_seconds=0)


@pytest.fixture
async def api() -> AsyncIterator[CellApi]:
    async with CellApi() as opened:
        yield opened


@pytest.fixture
async def cluster() -> AsyncIterator[FakeCluster]:
    async with FakeCluster() as opened:
        yield opened


class Stopped:
    """An observer that knows when an execution has ended or paused that nobody else waits for."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def committed(self, change: Committed) -> None:
        if change.head is not None and change.head.parent is None and change.head.status in ENDED | {Status.PAUSED}:
            self.event.set()


@pytest.mark.parametrize(("path", "expected"), RUNS)
async def test_an_example_does_what_its_page_says(
    request: pytest.FixtureRequest,
    cluster: FakeCluster,
    service: Service,
    api: CellApi,
    tmp_path: Path,
    path: Path,
    expected: dict[str, Any],
) -> None:
    api.set_up(expected.get("api", {}))
    if expected.get("cluster"):
        set_up_cluster(cluster, tmp_path, expected["cluster"])
        await service.inventories.replace(SOMEBODY, {"vimLocations": {"paris": {"kubernetes": {"url": cluster.url("")}}}})
    vro = running_vro(service, SOMEBODY, tmp_path) if expected.get("vro") else nullcontext()
    async with vro, _router_of(request, service, expected) as talked_to:
        view = await _execute(service, talked_to, api, _document(path), expected)
    story = "\n".join(f"{entry.step} {entry.level} {entry.message}" for entry in view.logs)
    assert [step.step_id for step, _ in view.steps] == expected["way"], story
    assert (view.head.status, dict(view.outputs)) == (expected["status"], expected["outputs"]), story
    assert not [secret for secret in (talked_to.password, *_secrets(path, expected)) if secret in story]


@asynccontextmanager
async def _router_of(
    request: pytest.FixtureRequest, service: Service, expected: dict[str, Any]
) -> AsyncIterator[OpenSshServer | RouterServer | FakeVCenter]:
    """Give what a run logs in to, as it has to be before: the router of all examples, one of a platform, or a NETCONF server with nothing configured."""
    if expected.get("device") == "netconf":
        netconfd: Netconfd = request.getfixturevalue("netconfd")
        netconfd.go_down()
        netconfd.come_up()
        await service.host_keys.trust(TrustedKey(netconfd.ssh.host, netconfd.ssh.port, netconfd.ssh.host_public_key, "tester", 0))
        yield netconfd.ssh
    elif expected.get("device") == "vcenter":
        async with FakeVCenter(request.getfixturevalue("tmp_path")) as center:
            await introduce(service, center)
            yield center
    elif expected["platform"] is None:
        router: OpenSshServer = request.getfixturevalue("router")
        set_up(router, expected.get("router", {}))
        if expected["inventory"] is not None:
            servers = {"bastion": request.getfixturevalue("bastion"), "edge-1": router}
            await have_known(service, SOMEBODY, EXAMPLES / expected["inventory"], servers)
        yield router
    else:
        async with RouterServer(SHELLS[expected["platform"]]) as other:
            await service.host_keys.trust(TrustedKey(other.host, other.port, other.public_key, "tester", 0))
            yield other


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_an_example_is_valid_without_a_warning(path: Path) -> None:
    parsed = check(json.loads(path.read_text(encoding="utf-8")), installed_types(), strict=True)
    assert (parsed.faults, parsed.warnings) == ((), ())


def test_every_step_type_is_in_an_example_and_each_example_is_described() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    used = {step["type"] for path in DOCUMENTS for step in _document(path)["steps"].values()}
    assert used == {signature.name for signature in installed_types().by_name.values()}
    assert not [path.name for path in DOCUMENTS if f"]({path.name})" not in page]


async def _execute(
    service: Service, router: OpenSshServer | RouterServer | FakeVCenter, api: CellApi, document: dict[str, Any], expected: dict[str, Any]
) -> ExecutionView:
    stopped = Stopped()
    service.observe(stopped)
    for called in expected.get("with", ()):
        await service.catalogue.create(SOMEBODY, _document(EXAMPLES / called))
    checked = await service.catalogue.create(SOMEBODY, document)
    target = {
        "host": router.host,
        "port": router.port,
        "user": router.user,
        "password": router.password,
        "api": api.url(""),
        "cluster": "paris",
    }
    known = {**target, **expected.get("inputs", {})}
    options = expected.get("options", {})
    request = ExecutionRequest(
        workflow_id=checked.workflow.id,
        context_type=ContextType.NONE,
        assignments={name: value for name, value in known.items() if name in document["inputs"]},
        attachments={key: await _upload(service, EXAMPLES / place) for key, place in expected.get("attachments", {}).items()},
        pause_at_failure=options.get("pauseAtFailure", False),
    )
    view = await service.executions.create(SOMEBODY, request)
    async with asyncio.timeout(60):
        await stopped.event.wait()
    return await service.views.execution(SOMEBODY, view.head.id)


async def _upload(service: Service, file: Path) -> str:
    read = file.read_bytes

    async def content() -> AsyncIterator[bytes]:
        yield read()

    return (await service.files.put(SOMEBODY.tenant, file.name, content())).id


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _secrets(path: Path, expected: dict[str, Any]) -> list[str]:
    declared = _document(path)["inputs"]
    return [value for name, value in expected.get("inputs", {}).items() if declared[name]["type"] == "password"]
