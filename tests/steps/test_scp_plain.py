"""TCA_SCP by the SCP protocol, against real OpenSSH servers that have no SFTP, with a shell and without. Risk: half a file under its final name that nobody
has allowed, a doubt that is not said, a copy that nobody compared."""

import asyncio
import hashlib
import shlex
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepswitch.demo.door import OpenDoor
from stepswitch.plugin import ErrorCode, Result, StoredFile, Value
from stepswitch.steps.scp import ScpStep
from stepswitch.steps.scp_faults import GoneError
from stepswitch.steps.scp_shell import Shell, told_mode
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.test_scp import CONTENT, MUCH, code_of, full_disk, names, said, users_file, when_half_is_sent

ONLY_SCP = """ForceCommand case "$SSH_ORIGINAL_COMMAND" in "scp "*) eval "$SSH_ORIGINAL_COMMAND";; *) echo "% Invalid input: $SSH_ORIGINAL_COMMAND";; esac"""
OLD = b"what stood there before"


@pytest.fixture(scope="module")
def host() -> Iterator[OpenSshServer]:
    """A server with a shell."""
    with OpenSshServer(sftp=None) as server:
        yield server


@pytest.fixture(scope="module")
def router() -> Iterator[OpenSshServer]:
    """A server that knows `scp` and nothing else, and repeats what it was told."""
    with OpenSshServer(sftp=None, more_settings=ONLY_SCP) as server:
        yield server


@contextmanager
def _place_at(server: OpenSshServer, name: str) -> Iterator[Path]:
    path = server.work / f"plain-{abs(hash(name))}"
    path.mkdir()
    shutil.chown(path, server.user)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def place(router: OpenSshServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    with _place_at(router, request.node.name) as path:
        yield path


@pytest.fixture
def there(host: OpenSshServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    with _place_at(host, request.node.name) as path:
        yield path


def context_of(server: OpenSshServer, content: bytes = CONTENT, proxy: Proxy | None = None, **more: Any) -> RecordingContext:
    port = server.port if proxy is None else proxy.port
    keys = {(server.host, port): server.host_public_keys}
    return RecordingContext(attachments={"a": content}, files={"inFile"}, host_keys=keys, **more)


def sends(server: OpenSshServer, path: Path, **more: Value) -> dict[str, Value]:
    return server.inputs(inFile="a", destinationPath=str(path), **more)


def sends_in_place(server: OpenSshServer, path: Path, **more: Value) -> dict[str, Value]:
    return sends(server, path, inPlace=True, **more)


# --- beside the final name, and renamed by a shell ---


@pytest.mark.parametrize("content", [b"", CONTENT, MUCH], ids=["empty", "small", "much"])
@pytest.mark.parametrize("name", ["it's a name", "-rf", '$(id) `id` "*";\\', "größe"])
async def test_a_shell_renames_what_is_whole(host: OpenSshServer, there: Path, content: bytes, name: str) -> None:
    context = context_of(host, content)
    digest = hashlib.sha256(content).hexdigest()
    sent = await ScpStep().run(sends(host, there / name, mode="0640"), context)
    path = str(there / name)
    assert (code_of(sent), sent.outputs) == ((Result.SUCCEEDED, None), {"result": path, "bytes": len(content), "sha256": digest})
    assert ((there / name).read_bytes(), (there / name).stat().st_mode & 0o777, names(there)) == (content, 0o640, [name])
    renamed = host.commands()[-1]
    assert ("mv -f" in renamed, context.attempt_name in renamed, context.sent) == (True, True, True)


async def test_a_path_below_the_home_directory_that_begins_as_an_option_is_none(host: OpenSshServer) -> None:
    outcome = await ScpStep().run(host.inputs(inFile="a", destinationPath="-rf"), context_of(host))
    assert outcome.result is Result.SUCCEEDED
    assert (host.work / "-rf").read_bytes() == CONTENT
    (host.work / "-rf").unlink()


async def test_a_file_that_is_replaced_leaves_its_permissions_and_its_link_to_the_new_one(host: OpenSshServer, there: Path) -> None:
    users_file(host, there / "real", OLD)
    (there / "real").chmod(0o604)
    (there / "link").symlink_to("real")
    outcome = await ScpStep().run(sends(host, there / "link"), context_of(host))
    assert (outcome.result, (there / "link").is_symlink()) == (Result.SUCCEEDED, True)
    assert ((there / "real").read_bytes(), (there / "real").stat().st_mode & 0o777) == (CONTENT, 0o604)
    assert (there / "real").owner() == host.user


@pytest.mark.parametrize(
    ("path", "code"),
    [("nowhere/f", ErrorCode.NO_SUCH_FILE), ("folder", ErrorCode.NOT_A_FILE), ("/etc/f", ErrorCode.PERMISSION_DENIED)],
)
async def test_a_place_that_takes_no_file_beside_it_is_said(host: OpenSshServer, there: Path, path: str, code: ErrorCode) -> None:
    (there / "folder").mkdir()
    context = context_of(host)
    outcome = await ScpStep().run(sends(host, there / path), context)
    assert (code_of(outcome), context.sent) == ((Result.FAILED, code), False)
    assert str(there / path) in said(outcome)
    assert names(there) == ["folder"]


async def test_a_cut_in_the_middle_leaves_the_old_file_and_no_part(host: OpenSshServer, there: Path) -> None:
    users_file(host, there / "f", OLD)
    async with Proxy(host.host, host.port) as proxy:
        context = context_of(host, MUCH, proxy)
        when_half_is_sent(context, proxy.cut)
        outcome = await ScpStep().run(sends(host, there / "f", port=proxy.port), context)
    assert (code_of(outcome), context.sent) == ((Result.FAILED, ErrorCode.CONNECTION_CUT), False)
    assert ((there / "f").read_bytes(), names(there)) == (OLD, ["f"])


async def test_a_cut_around_the_rename_is_in_doubt_unless_the_part_is_found(
    host: OpenSshServer, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Shell.rename
    async with Proxy(host.host, host.port) as proxy:
        for is_done, code in ((False, Result.FAILED), (True, Result.UNKNOWN)):
            users_file(host, there / "f", OLD)

            async def cut(shell: Shell, path: str, final: str, *, is_done: bool = is_done) -> None:
                if is_done:
                    await rename(shell, path, final)
                proxy.cut()
                raise GoneError(ErrorCode.CONNECTION_CUT, "the connection was cut")

            monkeypatch.setattr(Shell, "rename", cut)
            context = context_of(host, CONTENT, proxy)
            outcome = await ScpStep().run(sends(host, there / "f", port=proxy.port), context)
            assert code_of(outcome) == (code, ErrorCode.CONNECTION_CUT)
            assert ((there / "f").read_bytes(), names(there)) == (CONTENT if is_done else OLD, ["f"])


async def test_a_full_disk_keeps_the_old_file_and_no_part(host: OpenSshServer, there: Path) -> None:
    with full_disk(there, "1m") as disk:
        users_file(host, disk / "f", OLD)
        outcome = await ScpStep().run(sends(host, disk / "f"), context_of(host, MUCH))
        assert code_of(outcome) == (Result.FAILED, ErrorCode.NO_SPACE)
        assert "part" not in said(outcome)
        assert ((disk / "f").read_bytes(), names(disk)) == (OLD, ["f"])


async def test_what_was_spoilt_beside_its_name_never_gets_it(host: OpenSshServer, there: Path) -> None:
    users_file(host, there / "f", OLD)

    class Spoiling(RecordingContext):
        async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
            async for piece in super().pieces(file):
                yield bytes(len(piece))

    context = Spoiling(attachments={"a": CONTENT}, files={"inFile"}, host_keys=host.trusted())
    outcome = await ScpStep().run(sends(host, there / "f"), context)
    assert (code_of(outcome), context.sent) == ((Result.FAILED, ErrorCode.STORE_UNAVAILABLE), False)
    assert ((there / "f").read_bytes(), names(there)) == (OLD, ["f"])


async def test_parts_that_are_left_go_with_the_next_attempt_or_a_cleanup(host: OpenSshServer, there: Path) -> None:
    context = context_of(host)
    for name in (".execution-1-0-0.part", ".another-0-1.part", f".{context.attempt_name}.part"):
        users_file(host, there / name, b"half")
    await ScpStep().clean_up(sends(host, there / "f"), context)
    assert names(there) == [".another-0-1.part", ".execution-1-0-0.part"]
    await ScpStep().run(sends(host, there / "f"), context)
    assert names(there) == [".another-0-1.part", "f"]
    assert any("an earlier attempt had left" in message for message in context.messages)


async def test_a_part_is_removed_also_where_a_directory_has_taken_the_final_name(host: OpenSshServer, there: Path) -> None:
    context = context_of(host)
    users_file(host, there / f".{context.attempt_name}.part", b"half")
    (there / "f").mkdir()
    await ScpStep().clean_up(sends(host, there / "f"), context)
    assert names(there) == ["f"]


async def test_an_abort_in_the_middle_leaves_the_old_file_and_no_part(host: OpenSshServer, there: Path) -> None:
    users_file(host, there / "f", OLD)
    context, half = context_of(host, MUCH), asyncio.Event()
    when_half_is_sent(context, half.set)
    running = asyncio.create_task(ScpStep().run(sends(host, there / "f"), context))
    await half.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ((there / "f").read_bytes(), names(there), context.stays) == (OLD, ["f"], False)


# --- without a shell ---


async def test_nothing_is_sent_in_place_that_nobody_allows_there(router: OpenSshServer, place: Path) -> None:
    users_file(router, place / "f", OLD)
    context = context_of(router)
    outcome = await ScpStep().run(sends(router, place / "f"), context)
    assert (code_of(outcome), context.sent) == ((Result.FAILED, ErrorCode.IN_PLACE_ONLY), False)
    assert "set 'inPlace'" in said(outcome)
    assert ((place / "f").read_bytes(), names(place)) == (OLD, ["f"])
    await ScpStep().clean_up(sends(router, place / "f"), context)
    assert names(place) == ["f"]


class ScpOnly(OpenDoor):
    """A device that is no OpenSSH: it takes files by `scp -t`, in place, and answers everything else with silence, or in its own words."""

    def __init__(self, *, is_silent: bool) -> None:
        super().__init__("admin", encoding=None)
        self.is_silent = is_silent
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def serve(self, process: Any) -> None:
        command = process.command or ""
        self.asked.append(command)
        program, _, rest = command.partition(" ")
        if program != "scp":
            if self.is_silent:
                await process.stdin.read()
            process.stdout.write(b"% Unknown command: " + command.encode())
            process.exit(0)
            return
        way, path = shlex.split(rest)[-2:]
        process.stdout.write(b"\0" if way == "-t" else b"")
        if way == "-t" and (header := await process.stdin.readline()):
            size = int(header.split()[1])
            process.stdout.write(b"\0")
            self.files[path] = await process.stdin.readexactly(size)
            await process.stdin.readexactly(1)
            process.stdout.write(b"\0")
        elif way == "-f":
            await process.stdin.read(1)
            content = self.files.get(path)
            if content is None:
                process.stdout.write(b"\1No such file or directory\n")
            else:
                process.stdout.write(b"C0644 %d f\n" % len(content) + content + b"\0")
                await process.stdin.read(2)
        process.exit(0)


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "in its own words"])
async def test_a_device_that_knows_scp_only_is_sent_nothing_unless_that_is_allowed(
    is_silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepswitch.steps.scp_shell.ASK_SECONDS", 0.2)
    context = RecordingContext(attachments={"a": CONTENT}, files={"inFile"}, accept_new=True)
    async with ScpOnly(is_silent=is_silent) as device:
        login: dict[str, Value] = {"hostNameOrIP": device.host, "port": device.port, "username": device.user, "password": device.password}
        inputs = {**login, "inFile": "a", "destinationPath": "flash:/f"}
        outcome = await ScpStep().run(inputs, context)
        assert (code_of(outcome), context.sent, device.files) == ((Result.FAILED, ErrorCode.IN_PLACE_ONLY), False, {})
        outcome = await ScpStep().run({**inputs, "inPlace": True}, context)
        assert (outcome.result, context.sent, device.files) == (Result.SUCCEEDED, True, {"flash:/f": CONTENT}), outcome.error
        assert any("written in place" in message for message in context.messages)


# --- in place, where that is allowed ---


@pytest.mark.parametrize("content", [b"", CONTENT, MUCH], ids=["empty", "small", "much"])
async def test_what_is_sent_and_fetched_again_is_the_same(router: OpenSshServer, place: Path, content: bytes) -> None:
    context = context_of(router, content)
    digest = hashlib.sha256(content).hexdigest()
    path = place / "it's a name"
    sent = await ScpStep().run(sends_in_place(router, path, mode="0600"), context)
    assert (code_of(sent), sent.outputs) == ((Result.SUCCEEDED, None), {"result": str(path), "bytes": len(content), "sha256": digest})
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, 0o600)
    assert any("has no SFTP" in message for message in context.messages)
    fetched = await ScpStep().run(router.inputs(sourcePath=str(path), outFile="back"), context)
    assert (fetched.result, context.made["back"]) == (Result.SUCCEEDED, content)


@pytest.mark.parametrize(
    ("path", "code"),
    [("nowhere/f", ErrorCode.NO_SUCH_FILE), ("folder", ErrorCode.NOT_A_FILE), ("/etc/f", ErrorCode.PERMISSION_DENIED)],
)
async def test_a_place_that_takes_no_file_is_said(router: OpenSshServer, place: Path, path: str, code: ErrorCode) -> None:
    (place / "folder").mkdir()
    outcome = await ScpStep().run(sends_in_place(router, place / path), context_of(router))
    assert code_of(outcome) == (Result.FAILED, code)
    assert names(place) == ["folder"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("nowhere", ErrorCode.NO_SUCH_FILE), (".", ErrorCode.NOT_A_FILE), ("/etc/shadow", ErrorCode.PERMISSION_DENIED)],
)
async def test_what_cannot_be_fetched_is_said(router: OpenSshServer, place: Path, path: str, code: ErrorCode) -> None:
    outcome = await ScpStep().run(router.inputs(sourcePath=str(place / path), outFile="f"), context_of(router))
    assert (code_of(outcome), outcome.files) == ((Result.FAILED, code), {})


async def test_a_full_disk_is_said_with_what_it_leaves(router: OpenSshServer, place: Path) -> None:
    with full_disk(place, "1m") as disk:
        outcome = await ScpStep().run(sends_in_place(router, disk / "f"), context_of(router, MUCH))
        assert code_of(outcome) == (Result.FAILED, ErrorCode.NO_SPACE)
        assert "a part of it may stand there" in said(outcome)


async def test_a_cut_in_the_middle_is_a_doubt_for_a_part_may_stand_there(router: OpenSshServer, place: Path) -> None:
    async with Proxy(router.host, router.port) as proxy:
        context = context_of(router, MUCH, proxy)
        when_half_is_sent(context, proxy.cut)
        outcome = await ScpStep().run(sends_in_place(router, place / "f", port=proxy.port), context)
    assert code_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert "a part of it may stand under" in said(outcome)
    assert context.sent


async def test_what_was_spoilt_on_the_way_is_said(router: OpenSshServer, place: Path) -> None:
    users_file(router, place / "f", b"longer than what is sent, and of another kind")

    class Spoiling(RecordingContext):
        async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
            async for piece in super().pieces(file):
                yield piece
            (place / "f").unlink()
            users_file(router, place / "f", b"spoilt")

    context = Spoiling(attachments={"a": CONTENT}, files={"inFile"}, host_keys=router.trusted())
    assert code_of(await ScpStep().run(sends_in_place(router, place / "f"), context)) == (Result.FAILED, ErrorCode.COPY_DIFFERS)


async def test_directories_want_sftp(router: OpenSshServer, place: Path) -> None:
    for inputs in (sends(router, place / "f", unpack=True), router.inputs(sourcePath=str(place), recursive=True)):
        context = context_of(router)
        outcome = await ScpStep().run(inputs, context)
        assert (code_of(outcome), context.sent) == ((Result.FAILED, ErrorCode.COPY_REFUSED), False)


@pytest.mark.parametrize(
    ("answer", "part"), [("exit 127", "neither SFTP nor the program scp"), ("echo '% Invalid input'", "% Invalid input")]
)
async def test_a_server_that_copies_nothing_is_said(answer: str, part: str) -> None:
    with OpenSshServer(sftp=None, more_settings=f"ForceCommand {answer}") as server:
        for inputs in (sends(server, Path("f")), server.inputs(sourcePath="f")):
            outcome = await ScpStep().run(inputs, context_of(server))
            assert code_of(outcome) == (Result.FAILED, ErrorCode.COPY_REFUSED)
            assert part in said(outcome)


@pytest.mark.parametrize(("told", "mode"), [("644", 0o644), ("4755", 0o4755), ("", None), ("999", None), ("rw-r--r--", None), ("٧", None)])
def test_permissions_that_a_server_cannot_mean_are_none(told: str, mode: int | None) -> None:
    assert told_mode(told) == mode
