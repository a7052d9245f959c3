"""TCA_SCP and whole directories, against a real OpenSSH server. Risk: a file outside of the directory, a directory that is half the old one, a lost mode."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from stepswitch.plugin import ErrorCode, Result, Value
from stepswitch.steps.scp import ScpStep
from tests.openssh import OpenSshServer
from tests.steps.contexts import RecordingContext
from tests.steps.test_scp import code_of, names, said

TREE: Final = {"site/a.cfg": b"a", "site/deep/b.cfg": b"b" * 70_000, "site/deep/empty": b""}


@pytest.fixture
def place(server: OpenSshServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = server.work / f"tree-{abs(hash(request.node.name))}"
    path.mkdir()
    shutil.chown(path, server.user)
    yield path
    shutil.rmtree(path)


def archive(files: Mapping[str, bytes], *more: tarfile.TarInfo) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o640
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info)
    return written.getvalue()


def member(name: str, kind: bytes, mode: int = 0o755, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    return info


def context_of(server: OpenSshServer, content: bytes) -> RecordingContext:
    return RecordingContext(attachments={"a.tar": content}, files={"inFile"}, host_keys=server.trusted())


def unpacks(server: OpenSshServer, path: Path, **more: Value) -> dict[str, Value]:
    return server.inputs(inFile="a.tar", destinationPath=str(path), unpack=True, **more)


def owned(server: OpenSshServer, path: Path, content: bytes | None = None) -> Path:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    shutil.chown(path, server.user)
    return path


async def test_a_new_directory_appears_whole_with_its_modes(server: OpenSshServer, place: Path) -> None:
    content = archive(TREE, member("site/closed", tarfile.DIRTYPE, 0o500))
    context = context_of(server, content)
    outcome = await ScpStep().run(unpacks(server, place / "new"), context)
    assert (code_of(outcome), outcome.outputs["result"], outcome.outputs["bytes"]) == (
        (Result.SUCCEEDED, None),
        str(place / "new"),
        len(content),
    )
    assert names(place / "new") == ["a.cfg", "b.cfg", "closed", "deep", "empty", "site"]
    for name, text in TREE.items():
        assert ((place / "new" / name).read_bytes(), (place / "new" / name).stat().st_mode & 0o777) == (text, 0o640)
    assert (place / "new/site/closed").stat().st_mode & 0o777 == 0o500
    assert names(place)[0] == "a.cfg", "nothing is left beside it"


async def test_a_directory_that_is_there_keeps_what_the_archive_does_not_have(server: OpenSshServer, place: Path) -> None:
    owned(server, place / "site")
    owned(server, place / "site/kept", b"kept")
    owned(server, place / "site/a.cfg", b"old")
    context = context_of(server, archive(TREE, member("site/closed", tarfile.DIRTYPE, 0o500)))
    outcome = await ScpStep().run(unpacks(server, place, mode="0600"), context)
    assert code_of(outcome) == (Result.SUCCEEDED, None)
    assert names(place) == ["a.cfg", "b.cfg", "closed", "deep", "empty", "kept", "site"]
    assert ((place / "site/a.cfg").read_bytes(), (place / "site/kept").read_bytes()) == (b"a", b"kept")
    assert (place / "site/deep/b.cfg").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (archive({"../out": b"x"}), "would lead out"),
        (archive({"a/../../out": b"x"}), "would lead out"),
        (archive({"/etc/out": b"x"}), "would lead out"),
        (archive({}, member("link", tarfile.SYMTYPE, link="/etc")), "neither a plain file nor a directory"),
        (archive({}, member("node", tarfile.CHRTYPE)), "neither a plain file nor a directory"),
        (gzip.compress(archive(TREE)), "is no tar archive"),
        (archive(TREE)[:-60_000], "is no tar archive"),
        (b"no archive at all" * 100, "is no tar archive"),
    ],
)
async def test_an_archive_that_cannot_be_sent_is_said_before_anything_is_changed(
    server: OpenSshServer, place: Path, content: bytes, part: str
) -> None:
    context = context_of(server, content)
    outcome = await ScpStep().run(unpacks(server, place / "new"), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.INVALID_VALUE)
    assert part in said(outcome)
    assert (names(place), context.sent) == ([], False)


@pytest.mark.parametrize("there", ["file for directory", "directory for file", "link for directory", "link for file", "file for all"])
async def test_what_is_something_else_there_stops_it_before_anything_is_changed(server: OpenSshServer, place: Path, there: str) -> None:
    target = place / "t"
    if there == "file for all":
        owned(server, target, b"old")
    else:
        owned(server, target)
        owned(server, target / "site")
    if there == "file for directory":
        owned(server, target / "site/deep", b"old")
    elif there == "directory for file":
        owned(server, target / "site/a.cfg")
    elif there == "link for file":
        (target / "site/a.cfg").symlink_to("/etc/hostname")
    elif there == "link for directory":
        (target / "site/deep").symlink_to("/tmp")
    before = names(place)
    context = context_of(server, archive(TREE))
    outcome = await ScpStep().run(unpacks(server, target), context)
    assert code_of(outcome) == (Result.FAILED, ErrorCode.NOT_A_FILE)
    assert (names(place), context.sent) == (before, False)


async def test_a_directory_is_fetched_as_an_archive_that_can_be_sent_again(server: OpenSshServer, place: Path) -> None:
    await ScpStep().run(unpacks(server, place / "from"), context_of(server, archive(TREE)))
    (place / "from/link").symlink_to("/etc/passwd")
    context = context_of(server, b"")
    outcome = await ScpStep().run(server.inputs(sourcePath=str(place / "from"), recursive=True), context)
    assert (code_of(outcome), outcome.outputs["result"], outcome.files) == (
        (Result.SUCCEEDED, None),
        "from.tar",
        {"from.tar": "id-of-from.tar"},
    )
    assert any("'link' is a link" in message for message in context.messages)
    again = context_of(server, context.made["from.tar"])
    assert (await ScpStep().run(unpacks(server, place / "to"), again)).result is Result.SUCCEEDED
    assert {name: (place / "to" / name).read_bytes() for name in TREE} == TREE
    assert (place / "to/site/a.cfg").stat().st_mode & 0o777 == 0o640
    assert not (place / "to/link").exists()


async def test_a_file_is_no_directory_and_the_other_way_round(server: OpenSshServer, place: Path) -> None:
    owned(server, place / "f", b"x")
    for inputs in ({"sourcePath": str(place / "f"), "recursive": True}, {"sourcePath": str(place), "outFile": "x"}):
        assert code_of(await ScpStep().run(server.inputs(**inputs), context_of(server, b""))) == (Result.FAILED, ErrorCode.NOT_A_FILE)
