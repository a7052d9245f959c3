"""The service in a process, with a device and all the places that it takes secrets from, and whoever asks for something. Used by the hunt."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.cli.main import main
from tests.certificates import own_certificate
from tests.chaos.service import PASSWORD, ROOT, ServiceProcess
from tests.hunt.echo import EchoServer
from tests.hunt.planted import Hunt
from tests.kubernetes.api_server import FakeCluster
from tests.netconf_devices import ScriptedDevice, data, error
from tests.openssh import OpenSshServer
from tests.secrets.kubernetes_server import FakeKubernetes, open_kubernetes
from tests.secrets.vault_server import FakeVault, open_vault
from tests.slapd import GROUPS, PEOPLE, SERVICE, Slapd
from tests.steps.guest_context import described
from tests.vcenter import FakeVCenter

OWN = "/stepswitch/api/v1"
SECRETS = {
    "assigned": 'pl@nted/"as\\sign?d"+50% é',
    "plain": "planted-for-a-shell-4711",
    "large": "planted-and-large-" + "0123456789abcdef" * 5_000,
    "default of an input": "planted-default-of-input",
    "default of a variable": "planted-default:of&variable",
    "default of a step": "planted-default-of-step",
    "compared": "planted-to-be-compared",
    "made by a script": "planted-by-a-script-0815",
    "replied": "planted-as-a-reply-31",
    "edited in": "planted-by-an-edit",
    "corrected": "planted-by-a-correction",
    "refused": "planted-where-it-is-refused",
    "rehearsed": "planted-for-a-rehearsal",
    "credential": "planted-credential-1905",
    "changed credential": "planted-in-its-place",
    "in a variable": "planted-in-a-variable",
    "in a file": "planted-in-a-file-42",
    "in Vault": "planted-in-a-vault",
    "token for Vault": "hvs.token-of-the-service",
    "in Kubernetes": "planted-in-a-cluster",
    "token for Kubernetes": "token-of-the-account",
    "at a device behind another": "planted-behind-a-jump-host",
    "token for a cluster": "planted-token-of-a-cluster",
    "of a vCenter": "planted-for-a-vcenter",
    "of a guest": "planted-for-a-guest-23",
    "in the directory": "planted-in-a-directory",
    "user": "planted-for-a-user",
    "wrong login": "planted-as-a-wrong-login",
    "typed as a name": "planted-where-a-name-belongs",
}


class Told:
    """Everything that the service and its commands said, by where."""

    def __init__(self) -> None:
        self.contents: list[tuple[str, bytes]] = []

    def hear(self, response: httpx.Response) -> None:
        response.read()
        where = f"{response.request.method} {response.request.url} ({response.status_code})"
        self.contents.append((f"the headers of {where}", b"\n".join(name + b": " + value for name, value in response.headers.raw)))
        self.contents.append((where, response.content))


class Elsewhere:
    """Vault, Kubernetes and a vCenter, in a thread of their own, each with a secret."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._begun = threading.Event()
        self._over: asyncio.Event | None = None
        self.vault, self.cluster = FakeVault(), FakeKubernetes()
        self.kubeconfig = place / "kubeconfig"
        self.api = ""
        told = SECRETS["at a device behind another"]
        self.router = ScriptedDevice(
            {"get": data(f"<motd>{told}</motd>"), "edit-config": error("invalid-value", f"no such thing as {told}")}, password=told
        )
        self.inventory: dict[str, Any] = {}

    @contextmanager
    def up(self) -> Iterator[None]:
        """Have both listen in the block."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(self._serve(),), daemon=True)
        thread.start()
        assert self._begun.wait(30)
        try:
            yield
        finally:
            assert self._over is not None
            loop.call_soon_threadsafe(self._over.set)
            thread.join(30)
            loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        public, tls = own_certificate(self._place)
        async with AsyncExitStack() as stack:
            self.vault = await stack.enter_async_context(open_vault())
            self.vault.values["secret/core"] = {"password": SECRETS["in Vault"]}
            self.cluster = await stack.enter_async_context(open_kubernetes(tls))
            self.cluster.secrets["devices", "core"] = {"password": SECRETS["in Kubernetes"].encode()}
            self.kubeconfig.write_text(
                "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: {cluster: c, user: u}}]\n"
                f"clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{self.cluster.port}', certificate-authority: {public.name}}}}}]\n"
                f"users: [{{name: u, user: {{token: {SECRETS['token for Kubernetes']}}}}}]\n"
            )
            await stack.enter_async_context(self.router)
            self.lab = await stack.enter_async_context(FakeCluster())
            self.lab.token = SECRETS["token for a cluster"]
            (self._place / "vcenter").mkdir()
            center = await stack.enter_async_context(FakeVCenter(self._place / "vcenter"))
            center.password, center.guest.password = SECRETS["of a vCenter"], SECRETS["of a guest"]
            self.inventory = described(center)
            self.api = (await stack.enter_async_context(EchoServer())).url("")
            self._begun.set()
            await self._over.wait()


class House:
    """The service in a process, with a device, a directory, and whoever asks for something."""

    def __init__(self, place: Path, device: OpenSshServer, directory: Slapd, elsewhere: Elsewhere) -> None:
        self.place = place
        self.device = device
        self.directory = directory
        self.elsewhere = elsewhere
        self.data, self.temporary = place / "data", place / "tmp"
        self.temporary.mkdir()
        self.files = place / "values"
        self.files.mkdir()
        (self.files / "core").write_text(SECRETS["in a file"])
        self.service = ServiceProcess(
            self.data, STEPSWITCH_LOG_LEVEL="debug", TMPDIR=str(self.temporary), STEPSWITCH_HOST_KEYS="accept-new", PYTHONUNBUFFERED="1",
            STEPSWITCH_CREDENTIAL_CORE=SECRETS["in a variable"], STEPSWITCH_FILE_CREDENTIALS=str(self.files),
            STEPSWITCH_VAULT_ADDRESS=elsewhere.vault.address, STEPSWITCH_VAULT_TOKEN=SECRETS["token for Vault"],
            STEPSWITCH_KUBERNETES_CONFIG=str(elsewhere.kubeconfig), STEPSWITCH_LDAP_URL=directory.tls_url,
            STEPSWITCH_LDAP_CA_FILE=str(directory.certificate), STEPSWITCH_LDAP_BIND_DN=SERVICE, STEPSWITCH_LDAP_PASSWORD=directory.password,
            STEPSWITCH_LDAP_USER_BASE=PEOPLE, STEPSWITCH_LDAP_USER_FILTER="(uid={username})", STEPSWITCH_LDAP_GROUP_BASE=GROUPS,
            STEPSWITCH_LDAP_ROLES='{"shift": ["Operations"]}', STEPSWITCH_LDAP_REFRESH_MINUTES="0", STEPSWITCH_HTTP_ALLOWED_NETWORKS="127.0.0.1",
        )  # fmt: skip
        self.told = Told()
        self.client: httpx.Client | None = None
        self.secrets = {**SECRETS, "login at the device": device.password, "admin": PASSWORD, "service account": directory.password}
        self.target: dict[str, Any] = {"host": device.host, "port": device.port, "user": device.user, "api": elsewhere.api}

    def begin(self) -> None:
        if self.client is not None:
            self.client.close()
        self.service.start()
        headers = self.service.login()
        self.token = headers["x-hm-authorization"]
        self.client = httpx.Client(base_url=self.service.url, headers=headers, timeout=30, event_hooks={"response": [self.told.hear]})

    def said(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer, whatever it is."""
        assert self.client is not None
        return self.client.request(method, path, **request)

    def ask(self, method: str, path: str, body: object = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        answer = self.said(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content and answer.headers["content-type"] == "application/json" else None

    def until(self, execution: str, *states: str) -> dict[str, Any]:
        """Return the execution when it has come to one of these states."""
        for _ in range(60):
            found: dict[str, Any] = self.ask("GET", f"{ROOT}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            if found["status"] in states:
                return found
        raise AssertionError(f"it never came to {states}: {found}")

    def until_logged(self, execution: str, text: str) -> None:
        """Return when the execution has logged `text`."""
        for _ in range(60):
            self.ask("GET", f"{ROOT}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            if text in self.said("GET", f"{ROOT}/workflowExecution/{execution}/logs").text:
                return
        raise AssertionError(f"it never logged {text!r}")

    def command(self, *words: str) -> None:
        """Carry out `stepswitch`; what it prints is captured with all else."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (("URL", self.service.url), ("TOKEN", self.token)):
                patch.setenv(f"STEPSWITCH_{name}", value)
            with pytest.raises(SystemExit) as ended:
                main(list(words))
        assert ended.value.code == 0, words

    def follow(self) -> threading.Thread:
        """Keep what the stream of everything says, until the service ends."""

        def listen() -> None:
            heard = b""
            try:
                with httpx.stream(
                    "GET", f"{self.service.url}{OWN}/events", headers={"x-hm-authorization": self.token}, timeout=60
                ) as stream:
                    for part in stream.iter_bytes():
                        heard += part
            except httpx.HTTPError:
                pass
            self.told.contents.append(("the stream of everything", heard))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return thread


def hunt(house: House, *directories: Path) -> Hunt:
    """Search all that there is now."""
    found = Hunt(house.secrets)
    found.search_files(house.data, house.temporary, *directories)
    found.search_all(house.told.contents)
    found.search("the log of the service", "\n".join(house.service.log).encode())
    return found


def assert_nothing(found: Hunt) -> None:
    assert not found.found, "\n".join(found.found[:30])
