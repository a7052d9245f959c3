"""TCA_SCP by the SCP protocol, against a real OpenSSH server that has no SFTP. Risk: a doubt that is not said, a copy that nobody compared."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.plugin import ErrorCode, Result, StoredFile, Value
from stepswitch.steps.scp import ScpStep
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.test_scp import CONTENT, MUCH, code_of, full_disk, names, said, users_file, when_half_is_sent


@pytest.fixture(scope="module")
def router() -> Iterator[OpenSshServer]:
    with OpenSshServer(sftp=None) as server:
        yield server


@pytest.fixture
def place(router: OpenSshServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = router.work / f"plain-{abs(hash(request.node.name))}"
    path.mkdir()
    shutil.chown(path, router.user)
    yield path
    shutil.rmtree(path)


def context_of(server: OpenSshServer, content: bytes = CONTENT, proxy: Proxy | None = None, **more: Any) -> RecordingContext:
    port = server.port if proxy is None else proxy.port
    keys = {(server.host, port): server.host_public_keys}
    return RecordingContext(attachments={"a": content}, files={"inFile"}, host_keys=keys, **more)


def sends(server: OpenSshServer, path: Path, **more: Value) -> dict[str, Value]:
    return server.inputs(inFile="a", destinationPath=str(path), **more)


@pytest.mark.parametrize("content", [b"", CONTENT, MUCH], ids=["empty", "small", "much"])
async def test_what_is_sent_and_fetched_again_is_the_same(router: OpenSshServer, place: Path, content: bytes) -> None:
    context = context_of(router, content)
    digest = hashlib.sha256(content).hexdigest()
    path = place / "it's a name"
    sent = await ScpStep().run(sends(router, path, mode="0600"), context)
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
    outcome = await ScpStep().run(sends(router, place / path), context_of(router))
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
        outcome = await ScpStep().run(sends(router, disk / "f"), context_of(router, MUCH))
        assert code_of(outcome) == (Result.FAILED, ErrorCode.NO_SPACE)
        assert "a part of it may stand there" in said(outcome)


async def test_a_cut_in_the_middle_is_a_doubt_for_a_part_may_stand_there(router: OpenSshServer, place: Path) -> None:
    async with Proxy(router.host, router.port) as proxy:
        context = context_of(router, MUCH, proxy)
        when_half_is_sent(context, proxy.cut)
        outcome = await ScpStep().run(sends(router, place / "f", port=proxy.port), context)
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
    assert code_of(await ScpStep().run(sends(router, place / "f"), context)) == (Result.FAILED, ErrorCode.COPY_DIFFERS)


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
