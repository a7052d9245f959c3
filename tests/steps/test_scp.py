"""TCA_SCP over SFTP against a real OpenSSH server. Risk: half a file under its final name, a part left beside it, or a doubt told as a fact."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StoredFile, TargetError, Value
from stepswitch.steps.scp import ScpStep
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext

CONTENT: Final = b"line one\nline two\n"
MUCH: Final = os.urandom(3 * 1024 * 1024)
SECRET: Final = "a-word-that-nobody-may-read"


@pytest.fixture
def place(server: OpenSshServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory of the user's for one test."""
    path = server.work / f"scp-{abs(hash(request.node.name))}"
    path.mkdir()
    shutil.chown(path, server.user)
    yield path
    shutil.rmtree(path)


@pytest_asyncio.fixture
async def proxy(server: OpenSshServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.host, server.port) as proxy:
        yield proxy


def context_of(server: OpenSshServer, content: bytes = CONTENT, proxy: Proxy | None = None, **more: Any) -> RecordingContext:
    port = server.port if proxy is None else proxy.port
    return RecordingContext(attachments={"a": content}, files={"inFile"}, host_keys={(server.host, port): server.host_public_keys}, **more)


def sends(server: OpenSshServer, path: Path, **more: Value) -> dict[str, Value]:
    return server.inputs(inFile="a", destinationPath=str(path), **more)


def code_of(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, None if outcome.error is None else outcome.error.code


def said(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


@contextmanager
def heard_of_a_rename(directory: Path) -> Iterator[asyncio.Event]:
    """Give an event that is set when something in a directory is renamed."""
    renamed, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGIO, renamed.set)
    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.fcntl(opened, fcntl.F_NOTIFY, fcntl.DN_RENAME)
        yield renamed
    finally:
        os.close(opened)
        loop.remove_signal_handler(signal.SIGIO)


def names(place: Path) -> list[str]:
    return sorted(each.name for each in place.rglob("*"))


def users_file(server: OpenSshServer, path: Path, content: bytes = b"old", mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    shutil.chown(path, server.user)
    return path


def parts(place: Path) -> list[str]:
    return [each.name for each in place.iterdir() if each.name.endswith(".part")]


# --- there and back ---


@pytest.mark.parametrize("content", [b"", CONTENT, MUCH], ids=["empty", "small", "much"])
async def test_what_is_sent_and_fetched_again_is_the_same(server: OpenSshServer, place: Path, content: bytes) -> None:
    context = context_of(server, content)
    sent = await ScpStep().run(sends(server, place / "there"), context)
    digest = hashlib.sha256(content).hexdigest()
    assert (sent.result, sent.outputs) == (Result.SUCCEEDED, {"result": str(place / "there"), "bytes": len(content), "sha256": digest})
    assert (place / "there").read_bytes() == content
    assert context.sent
    assert parts(place) == []
    fetched = await ScpStep().run(server.inputs(sourcePath=str(place / "there"), outFile="back"), context)
    assert (fetched.result, fetched.outputs) == (Result.SUCCEEDED, {"result": "back", "bytes": len(content), "sha256": digest})
    assert (context.made, fetched.files) == ({"back": content}, {"back": "id-of-back"})
    assert context.largest_piece <= 256 * 1024


async def test_fetching_touches_nothing_so_that_it_is_never_in_doubt(server: OpenSshServer, place: Path) -> None:
    users_file(server, place / "f")
    context = context_of(server)
    await ScpStep().run(server.inputs(sourcePath=str(place / "f")), context)
    assert (context.sent, context.made) == (False, {"f": b"old"})


@pytest.mark.parametrize(
    ("given", "before", "after"), [(None, None, 0o644), (None, 0o600, 0o600), ("0750", 0o600, 0o750), ("400", None, 0o400)]
)
async def test_modes_are_those_asked_for_or_those_that_were(
    server: OpenSshServer, place: Path, given: str | None, before: int | None, after: int
) -> None:
    if before is not None:
        users_file(server, place / "f", mode=before)
    more: dict[str, Value] = {} if given is None else {"mode": given}
    outcome = await ScpStep().run(sends(server, place / "f", **more), context_of(server))
    assert code_of(outcome) == (Result.SUCCEEDED, None)
    assert (place / "f").stat().st_mode & 0o7777 == after


async def test_nobody_else_can_read_a_private_file_while_it_grows(server: OpenSshServer, place: Path) -> None:
    seen: list[int] = []

    class Watching(RecordingContext):
        async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
            async for piece in super().pieces(file):
                seen.extend((place / name).stat().st_mode & 0o777 for name in parts(place))
                yield piece

    context = Watching(attachments={"a": MUCH}, files={"inFile"}, host_keys=server.trusted())
    assert (await ScpStep().run(sends(server, place / "f", mode="0600"), context)).result is Result.SUCCEEDED
    assert set(seen) == {0o600}


async def test_a_link_is_followed_and_stays(server: OpenSshServer, place: Path) -> None:
    users_file(server, place / "real")
    (place / "link").symlink_to("real")
    outcome = await ScpStep().run(sends(server, place / "link"), context_of(server))
    assert outcome.outputs["result"] == str(place / "real")
    assert (place / "link").is_symlink()
    assert (place / "real").read_bytes() == CONTENT


async def test_paths_begin_at_home(server: OpenSshServer, place: Path) -> None:
    for path in (f"{place.name}/x y", f"~/{place.name}/ü"):
        assert (await ScpStep().run(server.inputs(inFile="a", destinationPath=path), context_of(server))).result is Result.SUCCEEDED
    assert names(place) == ["x y", "ü"]


# --- what is said no to ---


@pytest.mark.parametrize(
    ("more", "code", "part"),
    [
        ({"inFile": "a"}, ErrorCode.MISSING_INPUT, "'destinationPath' is without value"),
        ({"inFile": "a", "destinationPath": "/x/"}, ErrorCode.INVALID_VALUE, "give the whole name"),
        ({"inFile": "a", "destinationPath": "x", "mode": "rw", "outFile": "b"}, ErrorCode.INVALID_VALUE, "'outFile' does not go with 'inFile'; the input 'mode'"),
        ({"inFile": "gone", "destinationPath": "x"}, ErrorCode.UNKNOWN_ATTACHMENT, "'gone'"),
        ({"sourcePath": "/x", "mode": "0644"}, ErrorCode.INVALID_VALUE, "'mode' does not go with 'sourcePath'"),
        ({"sourcePath": "a/.."}, ErrorCode.INVALID_VALUE, "'outFile' is needed"),
        ({"sourcePath": "a\nb"}, ErrorCode.INVALID_VALUE, "end of line"),
        ({}, ErrorCode.MISSING_INPUT, "'sourcePath'"),
    ],
)  # fmt: skip
async def test_inputs_that_do_not_fit_are_said_before_anybody_is_asked(more: dict[str, Value], code: ErrorCode, part: str) -> None:
    context = RecordingContext(attachments={"a": CONTENT}, files={"inFile"})
    outcome = await ScpStep().run({"hostNameOrIP": "192.0.2.1", "username": "u", "password": SECRET, **more}, context)
    assert code_of(outcome) == (Result.FAILED, code)
    assert part in said(outcome)
    assert SECRET not in said(outcome)


async def test_a_text_is_no_file(server: OpenSshServer) -> None:
    context = RecordingContext(attachments={"a": CONTENT})
    assert code_of(await ScpStep().run(sends(server, Path("x")), context)) == (Result.FAILED, ErrorCode.INVALID_VALUE)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nowhere/f", ErrorCode.NO_SUCH_FILE),
        ("folder", ErrorCode.NOT_A_FILE),
        ("/dev/null", ErrorCode.NOT_A_FILE),
        ("/etc/f", ErrorCode.PERMISSION_DENIED),
        ("closed/f", ErrorCode.PERMISSION_DENIED),
    ],
)
async def test_a_place_that_takes_no_file_is_said(server: OpenSshServer, place: Path, path: str, code: ErrorCode) -> None:
    for name, mode in (("folder", 0o755), ("closed", 0o555)):
        (place / name).mkdir(mode)
        shutil.chown(place / name, server.user)
    context = context_of(server)
    outcome = await ScpStep().run(sends(server, place / path), context)
    assert code_of(outcome) == (Result.FAILED, code)
    assert f"'{place / path}'" in said(outcome)
    assert not context.sent
    assert names(place) == ["closed", "folder"]


@pytest.mark.parametrize(
    ("path", "code"), [("nowhere", ErrorCode.NO_SUCH_FILE), (".", ErrorCode.NOT_A_FILE), ("/dev/zero", ErrorCode.NOT_A_FILE), ("/etc/shadow", ErrorCode.PERMISSION_DENIED)]
)  # fmt: skip
async def test_what_cannot_be_fetched_is_said(server: OpenSshServer, place: Path, path: str, code: ErrorCode) -> None:
    context = context_of(server)
    outcome = await ScpStep().run(server.inputs(sourcePath=str(place / path), outFile="f"), context)
    assert code_of(outcome) == (Result.FAILED, code)
    assert (outcome.files, context.made) == ({}, {})


async def test_a_file_that_the_execution_may_not_have_is_said(server: OpenSshServer, place: Path) -> None:
    users_file(server, place / "f", MUCH)
    outcome = await ScpStep().run(server.inputs(sourcePath=str(place / "f")), context_of(server, file_limit_bytes=1_000_000))
    assert (code_of(outcome), outcome.files) == ((Result.FAILED, ErrorCode.TOO_LARGE), {})


@contextmanager
def full_disk(place: Path, size: str) -> Iterator[Path]:
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(disk)], check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("is_seen", [True, False], ids=["beforehand", "while it is written"])
async def test_a_full_disk_changes_nothing(server: OpenSshServer, place: Path, is_seen: bool) -> None:
    with full_disk(place, "1m") as disk:
        users_file(server, disk / "f")

        class Filling(RecordingContext):
            async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
                if not is_seen:
                    (disk / "other").write_bytes(bytes(900 * 1024))
                async for piece in super().pieces(file):
                    yield piece

        content = MUCH if is_seen else MUCH[: 512 * 1024]
        context = Filling(attachments={"a": content}, files={"inFile"}, host_keys=server.trusted())
        outcome = await ScpStep().run(sends(server, disk / "f"), context)
        assert code_of(outcome) == (Result.FAILED, ErrorCode.NO_SPACE)
        assert "no space left" in said(outcome)
        assert ((disk / "f").read_bytes(), parts(disk), context.sent) == (b"old", [], False)


async def test_what_was_spoilt_on_the_way_is_never_put_in_place(server: OpenSshServer, place: Path) -> None:
    users_file(server, place / "f")

    class Spoiling(RecordingContext):
        async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
            async for piece in super().pieces(file):
                yield piece
            (part,) = parts(place)
            with (place / part).open("r+b") as spoilt:
                spoilt.write(b"SPOILT")

    context = Spoiling(attachments={"a": CONTENT}, files={"inFile"}, host_keys=server.trusted())
    outcome = await ScpStep().run(sends(server, place / "f"), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.COPY_DIFFERS)
    assert ((place / "f").read_bytes(), parts(place), context.sent) == (b"old", [], False)
    taken_at_its_word = await ScpStep().run(sends(server, place / "f", verify=False), context)
    assert taken_at_its_word.result is Result.SUCCEEDED


class Changing(RecordingContext):
    """Does something to the file, once, while it is read."""

    change: Callable[[], object]

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        async def meanwhile() -> AsyncIterator[bytes]:
            is_first = True
            async for piece in content:
                if is_first:
                    self.change()
                is_first = False
                yield piece

        return await super().attach(key, meanwhile())


def rewrite(file: Path, size: int) -> None:
    os.truncate(file, size)
    os.utime(file, (0, 0))


@pytest.mark.parametrize("size", [1_000_000, len(MUCH)], ids=["shorter", "other"])
async def test_a_file_that_changes_while_it_is_read_is_not_kept(server: OpenSshServer, place: Path, size: int) -> None:
    file = users_file(server, place / "f", MUCH)
    context = Changing(host_keys=server.trusted())
    context.change = lambda: rewrite(file, size)
    outcome = await ScpStep().run(server.inputs(sourcePath=str(file)), context)
    assert (code_of(outcome), outcome.files) == ((Result.FAILED, ErrorCode.COPY_DIFFERS), {})


async def test_a_log_that_grows_is_fetched_as_it_was(server: OpenSshServer, place: Path) -> None:
    file = users_file(server, place / "f", MUCH)
    context = Changing(host_keys=server.trusted())
    context.change = lambda: file.write_bytes(MUCH + b"more")
    outcome = await ScpStep().run(server.inputs(sourcePath=str(file)), context)
    assert (outcome.result, context.made["f"] == MUCH) == (Result.SUCCEEDED, True)
    assert any("has grown" in message for message in context.messages)


# --- interrupted ---


def when_half_is_sent(context: RecordingContext, act: Callable[[], None]) -> None:
    """Do something once half of the file is on its way."""
    pieces = context.pieces

    async def halted(file: StoredFile) -> AsyncIterator[bytes]:
        count = 0
        async for piece in pieces(file):
            count += len(piece)
            if count > file.size / 2 and act not in done:
                done.append(act)
                act()
            yield piece

    done: list[Callable[[], None]] = []
    context.pieces = halted  # type: ignore[method-assign]


async def test_a_cut_in_the_middle_leaves_the_old_file_and_nothing_beside_it(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    users_file(server, place / "f")
    context = context_of(server, MUCH, proxy)
    when_half_is_sent(context, proxy.cut)
    outcome = await ScpStep().run(sends(server, place / "f", port=proxy.port), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)
    assert ((place / "f").read_bytes(), parts(place), context.sent) == (b"old", [], False)
    assert proxy.connections == 2, "the second one removed what the first had left"


async def test_what_cannot_be_removed_is_named_and_the_next_attempt_removes_it(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    context = context_of(server, MUCH, proxy)
    when_half_is_sent(context, proxy.stall)
    outcome = await ScpStep(connect_seconds=3.0, stall_seconds=3.0).run(sends(server, place / "f", port=proxy.port), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    (left,) = parts(place)
    assert left in said(outcome)
    assert context.stays
    users_file(server, place / ".execution-2-0-1.part")
    again = context_of(server, attempt="1-2")
    assert (await ScpStep().run(sends(server, place / "f"), again)).result is Result.SUCCEEDED
    assert names(place) == [".execution-2-0-1.part", "f"]
    assert [message for level, message in again.lines if level is LogLevel.WARN and left in message]


async def test_what_an_attempt_has_left_is_removed_afterwards_and_nothing_else_is(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    users_file(server, place / "f")
    context, inputs = context_of(server, MUCH, proxy), sends(server, place / "f", port=proxy.port)
    when_half_is_sent(context, proxy.stall)
    step = ScpStep(connect_seconds=3.0, stall_seconds=3.0)
    await step.run(inputs, context)
    users_file(server, place / ".execution-1-1-2.part")
    assert len(parts(place)) == 2
    with pytest.raises(TargetError, match="within 3 seconds"):
        await step.clean_up(inputs, context)
    again, inputs = context_of(server), sends(server, place / "f")
    await step.clean_up(inputs, again)
    assert (names(place), (place / "f").read_bytes()) == ([".execution-1-1-2.part", "f"], b"old")
    assert any("was removed" in message for message in again.messages)
    for other in ({}, {"destinationPath": f"{place}/no/such/f"}, {"destinationPath": ""}):
        await step.clean_up({**inputs, **other}, again)
    await step.clean_up(server.inputs(sourcePath=str(place / "f"), outFile="k"), again)
    assert names(place) == [".execution-1-1-2.part", "f"]


async def test_a_stopped_copy_takes_its_part_with_it(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    users_file(server, place / "f")
    context = context_of(server, MUCH, proxy)
    half = asyncio.Event()
    when_half_is_sent(context, half.set)
    pieces = context.pieces

    async def endless(file: StoredFile) -> AsyncIterator[bytes]:
        async for piece in pieces(file):
            yield piece
            if half.is_set():
                await asyncio.Event().wait()

    context.pieces = endless  # type: ignore[method-assign]
    running = asyncio.create_task(ScpStep().run(sends(server, place / "f", port=proxy.port), context))
    await asyncio.wait_for(half.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ((place / "f").read_bytes(), parts(place)) == (b"old", [])
    assert not context.sent


class AtTheRename(RecordingContext):
    """Does something right before the rename leaves."""

    act: Callable[[], None]

    def mark_sent(self) -> None:
        super().mark_sent()
        self.act()


def at_the_rename(server: OpenSshServer, proxy: Proxy, act: Callable[[], None]) -> AtTheRename:
    context = AtTheRename(attachments={"a": CONTENT}, files={"inFile"}, host_keys={(server.host, proxy.port): server.host_public_keys})
    context.act = act
    return context


async def test_a_cut_before_the_rename_is_found_out_to_have_changed_nothing(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    users_file(server, place / "f")
    context = at_the_rename(server, proxy, proxy.cut)
    outcome = await ScpStep().run(sends(server, place / "f", port=proxy.port), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)
    assert "nothing was changed there" in said(outcome)
    assert ((place / "f").read_bytes(), parts(place)) == (b"old", [])


async def test_a_cut_after_the_rename_and_before_its_answer_is_a_doubt(server: OpenSshServer, place: Path, proxy: Proxy) -> None:
    users_file(server, place / "f")
    context = at_the_rename(server, proxy, proxy.hold_answers)
    with heard_of_a_rename(place) as renamed:
        running = asyncio.create_task(ScpStep().run(sends(server, place / "f", port=proxy.port), context))
        await asyncio.wait_for(renamed.wait(), 20)
    proxy.cut()
    proxy.resume()
    outcome = await running
    assert (place / "f").read_bytes() == CONTENT
    assert code_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert "is not known" in said(outcome)


async def test_a_server_without_a_rename_over_files_is_served_in_two_steps(place: Path, server: OpenSshServer) -> None:
    with OpenSshServer(sftp="internal-sftp -P posix-rename,fsync,statvfs") as old:
        users_file(old, old.work / "f")
        for name in ("f", "new"):
            context = context_of(old)
            assert code_of(await ScpStep().run(sends(old, old.work / name), context)) == (Result.SUCCEEDED, None)
            assert (old.work / name).read_bytes() == CONTENT
            assert any("for a moment there is none" in message for message in context.messages) is (name == "f")
        assert parts(old.work) == []
