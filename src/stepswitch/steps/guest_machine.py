"""What can be done in one machine through guest operations: copy files, start, list and end programs. Called by `guest_run` and `guest`."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from stepswitch.plugin import ErrorCode
from stepswitch.steps.guest_driver import vim
from stepswitch.steps.guest_faults import BusyError, GuestError
from stepswitch.steps.guest_vcenter import Service, VCenter
from stepswitch.steps.output import harmless

_RUNNING: Final = "guestToolsRunning"
_OURS_ONLY: Final = 0o700
_OURS_TO_READ: Final = 0o600
_MOST_FILES: Final = 100
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Named:
    """How a vCenter is asked for a machine: by one of the three. `shown` is what people call it."""

    shown: str
    object_id: str | None = None
    instance_uuid: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class GuestLogin:
    """A user in the machine."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Process:
    """A program in the machine; one that has ended is known there for some minutes."""

    pid: int
    command_line: str
    has_ended: bool
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class Program:
    """What is started. No shell of ours reads it."""

    path: str
    arguments: str
    working_directory: str | None = None


def named(text: str) -> Named:
    """Return how a vCenter is asked for a machine that no inventory knows."""
    if "/" in text:
        return Named(text, path=text.strip("/"))
    return Named(text, instance_uuid=text) if _UUID.fullmatch(text) else Named(text, object_id=text)


class Machine:
    """One machine, as one user in it. Every call raises GuestError."""

    def __init__(self, vcenter: VCenter, name: Named, login: GuestLogin) -> None:
        self._vcenter = vcenter
        self._named = name
        self._login = vim.vm.guest.NamePasswordAuthentication(username=login.username, password=login.password, interactiveSession=False)
        self._object_id = name.object_id

    @property
    def name(self) -> str:
        """The machine as messages call it."""
        return f"the machine {harmless(self._named.shown)}"

    async def find(self) -> None:
        """Find the machine at its vCenter."""
        if self._object_id is None:
            self._object_id = await self._vcenter.ask("find the machine", self._found, self.name)

    async def family(self) -> str:
        """Return what kind of operating system runs in it, as its VMware Tools call it; raises BusyError where they do not run."""
        paths = ("runtime.powerState", "guest.toolsRunningStatus", "guest.guestFamily")
        found = await self._ask("look at the machine", lambda service, vm: service.properties(vm, *paths))
        if found.get("runtime.powerState") != vim.VirtualMachine.PowerState.poweredOn:
            state = harmless(str(found.get("runtime.powerState") or "in no state that is known"))
            raise BusyError(ErrorCode.GUEST_UNAVAILABLE, f"{self.name} is not powered on: it is {state}")
        if found.get("guest.toolsRunningStatus") != _RUNNING:
            raise BusyError(ErrorCode.GUEST_UNAVAILABLE, f"the VMware Tools of {self.name} do not run")
        return str(found.get("guest.guestFamily") or "")

    async def let_in(self) -> None:
        """Have the user and the password checked."""
        await self._ask("check the login", lambda service, vm: service.logins.ValidateCredentialsInGuest(vm=vm, auth=self._login))

    async def make_directory(self, parent: str, prefix: str, *, has_permissions: bool) -> str:
        """Return the path of a new directory that is the user's own, its name beginning with `prefix`."""
        what = "make a directory for the command"
        path: str = await self._ask(
            what,
            lambda service, vm: service.files.CreateTemporaryDirectoryInGuest(
                vm=vm, auth=self._login, prefix=prefix, suffix="", directoryPath=parent
            ),
        )
        if has_permissions:
            attributes = vim.vm.guest.FileManager.PosixFileAttributes(permissions=_OURS_ONLY)
            await self._ask(
                what,
                lambda service, vm: service.files.ChangeFileAttributesInGuest(
                    vm=vm, auth=self._login, guestFilePath=path, fileAttributes=attributes
                ),
            )
        return path

    async def put(self, path: str, content: bytes, *, has_permissions: bool) -> None:
        """Write a file that only the user may read."""
        kind = vim.vm.guest.FileManager
        attributes = kind.PosixFileAttributes(permissions=_OURS_TO_READ) if has_permissions else kind.FileAttributes()

        def work(service: Service, vm: Any) -> None:
            url = service.files.InitiateFileTransferToGuest(
                vm=vm, auth=self._login, guestFilePath=path, fileAttributes=attributes, fileSize=len(content), overwrite=True
            )
            service.upload(url, content)

        await self._ask("copy the command there", work)

    async def read(self, path: str, offset: int, most: int) -> bytes:
        """Return what stands behind `offset` in a file, `most` bytes of it at most."""

        def work(service: Service, vm: Any) -> bytes:
            told = service.files.InitiateFileTransferFromGuest(vm=vm, auth=self._login, guestFilePath=path)
            return service.download(told.url, offset, most)

        return await self._ask("read what was printed", work)

    async def sizes(self, directory: str) -> Mapping[str, int]:
        """Return the files of a directory and how long they are; none where there is no such directory."""
        return {name: size for name, kind, size in await self._files(directory, None) if kind == "file"}

    async def directories(self, parent: str, prefix: str) -> Sequence[str]:
        """Return the names of the directories whose name begins with `prefix`."""
        return [
            name
            for name, kind, _ in await self._files(parent, f"^{re.escape(prefix)}.*")
            if kind == "directory" and name.startswith(prefix)
        ]

    async def start(self, program: Program) -> int:
        """Start a program; return its process."""
        spec = vim.vm.guest.ProcessManager.ProgramSpec(
            programPath=program.path, arguments=program.arguments, workingDirectory=program.working_directory
        )
        return await self._ask(
            "start the command", lambda service, vm: int(service.processes.StartProgramInGuest(vm=vm, auth=self._login, spec=spec))
        )

    async def processes(self) -> Sequence[Process]:
        """Return what runs in the machine, and what was started by guest operations and has ended lately."""
        found = await self._ask(
            "list what runs", lambda service, vm: service.processes.ListProcessesInGuest(vm=vm, auth=self._login, pids=[])
        )
        return [Process(each.pid, each.cmdLine or "", each.endTime is not None, each.exitCode) for each in found or ()]

    async def end(self, pid: int) -> None:
        """End a process; one that is gone is fine."""

        def work(service: Service, vm: Any) -> None:
            with suppress(vim.fault.GuestProcessNotFound):
                service.processes.TerminateProcessInGuest(vm=vm, auth=self._login, pid=pid)

        await self._ask("end the command", work)

    async def remove(self, directory: str) -> None:
        """Remove a directory with all in it; one that is gone is fine."""

        def work(service: Service, vm: Any) -> None:
            with suppress(vim.fault.FileNotFound):
                service.files.DeleteDirectoryInGuest(vm=vm, auth=self._login, directoryPath=directory, recursive=True)

        await self._ask("remove what the command left", work)

    async def _files(self, directory: str, pattern: str | None) -> Sequence[tuple[str, str, int]]:
        """Return name, kind and size of what is in a directory; nothing where there is no such."""

        def work(service: Service, vm: Any) -> Sequence[Any]:
            try:
                found = service.files.ListFilesInGuest(
                    vm=vm, auth=self._login, filePath=directory, index=0, maxResults=_MOST_FILES, matchPattern=pattern
                )
            except vim.fault.FileNotFound:
                return ()
            return found.files or ()

        found = await self._ask("list the files of the command", work)
        return [(re.split(r"[/\\]", each.path)[-1], str(each.type), int(each.size)) for each in found]

    async def _ask(self, what: str, call: Callable[[Service, Any], _T]) -> _T:
        await self.find()
        object_id = self._object_id or ""
        return await self._vcenter.ask(what, lambda service: call(service, service.machine(object_id)), self.name)

    def _found(self, service: Service) -> str:
        index, named = service.content.searchIndex, self._named
        if named.path is not None:
            found = index.FindByInventoryPath(inventoryPath=named.path)
        else:
            found = index.FindByUuid(uuid=named.instance_uuid, vmSearch=True, instanceUuid=True)
        if not isinstance(found, vim.VirtualMachine):
            raise GuestError(ErrorCode.NOT_FOUND, f"{self._vcenter.where.name} has no machine that is called {harmless(named.shown)}")
        return str(found._GetMoId())  # noqa: SLF001 - the library has no other name for it
