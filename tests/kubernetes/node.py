"""A node for tests: it runs the containers of pods as child processes, keeps their logs, and says what becomes of them. Used by the fake of the Kubernetes API.

It leaves out: images (a name is known or is not), more than one container, limits on resources, probes, restarts, init containers, and namespaces of
the kernel: what is mounted at `/stepswitch` lies in a folder of its own, whose path is put in the place of that in command and environment.
"""

import asyncio
import base64
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes.store import Key, Object, Store, now

PIECE = 16 * 1024
"""Where a runtime breaks a longer line in two."""


@dataclass
class Line:
    """A line of a log, or a piece of one: then the next has no time of its own."""

    seconds: int
    nanoseconds: int
    text: bytes
    is_whole: bool

    @property
    def time(self) -> bytes:
        """Its time, with as many digits as a runtime writes."""
        day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.seconds))
        return f"{day}.{self.nanoseconds:09d}Z".encode()


@dataclass
class Container:
    """What runs, or ran, for a pod."""

    place: Path
    process: asyncio.subprocess.Process | None = None
    lines: list[Line] = field(default_factory=list)
    has_ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""

    def say(self, line: Line) -> None:
        """Add to the log."""
        self.lines.append(line)
        self.wake()

    def wake(self) -> None:
        """Wake up whoever follows."""
        news, self.news = self.news, asyncio.Event()
        news.set()


class Node:
    """Runs every pod of a store whose labels it has. `images` are those that can be pulled."""

    name = "node-1"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.images = {"tools:1"}
        self.labels = {"zone": "paris"}
        self.containers: dict[Key, Container] = {}
        self.ended: list[str] = []
        """The pods whose processes have ended, whatever ended them."""
        self.is_lost = False
        self.stands_still: set[str] = set()
        """What does not go on: `schedule`, or `stop`: a pod that is deleted stays."""
        self.refuses = ""
        """Why a container is not created."""
        self.path = os.environ["PATH"]
        """Where programs are found."""
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, key: Key) -> None:
        """See to a pod that was made."""
        self._begin(self._run(key))

    def stop(self, key: Key, grace_seconds: float) -> None:
        """See to a pod that is deleted."""
        if "stop" not in self.stands_still and not self.is_lost:
            self._begin(self._stop(key, grace_seconds))

    async def close(self) -> None:
        """End everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for container in self.containers.values():
            await _kill(container)
            shutil.rmtree(container.place, ignore_errors=True)

    def status(self, key: Key, change: Callable[[Object], None]) -> None:
        """Change the status of a pod that is there."""
        said = self.store.objects.get(key)
        if said is not None:
            change(said)
            self.store.put("MODIFIED", key, said)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Key) -> None:
        spec = self.store.objects[key]["spec"]
        if "schedule" in self.stands_still or not spec.get("nodeSelector", {}).items() <= self.labels.items():
            told = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": told}
            return self.status(key, lambda said: said["status"].update(conditions=[condition]))
        self.status(key, self._schedule)
        image = spec["containers"][0]["image"]
        if image not in self.images:
            said = f'failed to pull and unpack image "{image}": not found'
            self.status(key, _waits("ErrImagePull", said))
            return self.status(key, _waits("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {said}'))
        if self.refuses:
            return self.status(key, _waits("CreateContainerConfigError", self.refuses))
        container = Container(Path(tempfile.mkdtemp(prefix="kubernetes-node-")))
        if await self._is_given(key, container):
            self.containers[key] = container
            await self._contain(key, container)
        return None

    def _schedule(self, said: Object) -> None:
        said["spec"]["nodeName"] = self.name
        said["status"] |= {"conditions": [{"type": "PodScheduled", "status": "True"}], "startTime": now()}
        _waits("ContainerCreating", "")(said)

    async def _is_given(self, key: Key, container: Container) -> bool:
        """Mount what a pod is given; return whether it is still there when all of that is."""
        while (pod := self.store.objects.get(key)) is not None:
            news = self.store.news
            volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
            secrets = {
                name: self.store.objects.get(("secrets", key[1], volume["secret"]["secretName"]))
                for name, volume in volumes.items()
                if "secret" in volume
            }
            if all(secrets.values()):
                for mount in pod["spec"]["containers"][0]["volumeMounts"]:
                    folder = container.place / mount["mountPath"].lstrip("/")
                    folder.mkdir(parents=True)
                    folder.chmod(0o777)
                    secret = secrets.get(mount["name"])
                    if secret is not None:
                        _write(folder, volumes[mount["name"]]["secret"], secret["data"])
                return True
            await news.wait()
        return False

    async def _contain(self, key: Key, container: Container) -> None:
        pod = self.store.objects[key]
        spec = pod["spec"]["containers"][0]
        place = str(container.place)
        environment = {"PATH": self.path}
        for each in spec["env"]:
            source = each.get("valueFrom", {}).get("secretKeyRef")
            if source is None:
                environment[each["name"]] = each["value"].replace("/stepswitch/", f"{place}/stepswitch/")
            else:
                data = self.store.objects["secrets", key[1], source["name"]]["data"]
                environment[each["name"]] = base64.b64decode(data[source["key"]]).decode()
        command = [
            each.replace("/stepswitch/", f"{place}/stepswitch/") if each.startswith("/stepswitch/") else each for each in spec["command"]
        ]
        container.process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self.status(key, _runs)
        reading = asyncio.create_task(_read(container))
        try:
            async with asyncio.timeout(pod["spec"].get("activeDeadlineSeconds")):
                code = await container.process.wait()
        except TimeoutError:
            container.reason = "DeadlineExceeded"
            await _kill(container)
            code = 137
        with suppress(ProcessLookupError):
            os.killpg(container.process.pid, signal.SIGKILL)  # what the script left in the background
        await reading
        self._note_end(key, container, code)

    def _note_end(self, key: Key, container: Container, code: int) -> None:
        container.has_ended = True
        self.ended.append(key[2])
        container.wake()
        if self.is_lost:
            return
        code = 128 - code if code < 0 else code

        def end(said: Object) -> None:
            reason = container.reason if container.reason == "OOMKilled" else "Completed" if code == 0 else "Error"
            said["status"] |= {"phase": "Succeeded" if code == 0 else "Failed"}
            said["status"]["containerStatuses"] = [{"name": "script", "state": {"terminated": {"exitCode": code, "reason": reason}}}]
            if container.reason in ("DeadlineExceeded", "Evicted"):
                said["status"] |= {"phase": "Failed", "reason": container.reason, "message": "The node was low on resource: memory."}

        self.status(key, end)

    async def end(self, key: Key, reason: str) -> None:
        """End a pod as a node does: `OOMKilled` or `Evicted`."""
        self.containers[key].reason = reason
        await _kill(self.containers[key])

    async def _stop(self, key: Key, grace_seconds: float) -> None:
        container = self.containers.get(key)
        if container is not None and container.process is not None and container.process.returncode is None:
            with suppress(ProcessLookupError):
                container.process.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(container.process.wait(), grace_seconds)
            await _kill(container)
            while not container.has_ended:
                await container.news.wait()
        self.store.remove(key)


def _waits(reason: str, message: str) -> Callable[[Object], None]:
    def change(said: Object) -> None:
        said["status"]["phase"] = "Pending"
        said["status"]["containerStatuses"] = [{"name": "script", "state": {"waiting": {"reason": reason, "message": message}}}]

    return change


def _runs(said: Object) -> None:
    said["status"]["phase"] = "Running"
    said["status"]["containerStatuses"] = [{"name": "script", "state": {"running": {"startedAt": now()}}}]


def _write(folder: Path, volume: Object, data: dict[str, str]) -> None:
    for item in volume["items"]:
        file = folder / item["path"]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(base64.b64decode(data[item["key"]]))
        file.chmod(item.get("mode", volume["defaultMode"]))


async def _read(container: Container) -> None:
    """Take down what a process prints, line by line, each with a time of its own."""
    assert container.process is not None
    assert container.process.stdout is not None
    rest = b""
    while data := await container.process.stdout.read(65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _say(container, line, is_whole=True)
        while len(rest) > PIECE:
            _say(container, rest[:PIECE], is_whole=False)
            rest = rest[PIECE:]
    if rest:
        _say(container, rest, is_whole=False)


def _say(container: Container, text: bytes, *, is_whole: bool) -> None:
    for start in range(0, max(len(text), 1), PIECE):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        piece = text[start : start + PIECE]
        container.say(Line(seconds, nanoseconds, piece, is_whole and start + PIECE >= len(text)))


async def _kill(container: Container) -> None:
    if container.process is not None and container.process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(container.process.pid, signal.SIGKILL)
        await container.process.wait()
