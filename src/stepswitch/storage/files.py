"""Files beside the database, named by their content. Implements `engine.ports.FileStore`.

A file is written, fsynced and renamed before the row that names it commits, so that a row never names a file that is not there.
Two files of equal content share one place on the disk; it goes with the last row.
"""

import asyncio
import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, delete, exists, func, insert, not_, select

from stepswitch.domain.errors import CommitInDoubtError, StoreError, TooLargeError
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.ports import Ids
from stepswitch.engine.quotas import NO_QUOTAS, Quotas, check_file_space
from stepswitch.engine.records import StoredFile
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row
from stepswitch.storage.tables import file_uses, files

_F = files.c
PAGE: Final = 500
CHUNK: Final = 256 * 1024
_INSERT: Final = Statement(insert(files))
_SPACE: Final = Statement(select(func.coalesce(func.sum(_F.size), 0)).where(_F.tenant == bindparam("tenant")))
_FIND: Final = Statement(select(_F.sha256, _F.body).where(_F.tenant == bindparam("tenant"), _F.id == bindparam("id")))
_UNUSED: Final = select(_F.id, _F.sha256).where(not_(exists().where(file_uses.c.file_id == _F.id)))
_UNUSED_PAGE: Final = Statement(_UNUSED.where(_F.id > bindparam("after")).order_by(_F.id).limit(PAGE))
_UNUSED_ONE: Final = Statement(_UNUSED.where(_F.id == bindparam("id")))
_DELETE_UNUSED: Final = Statement(delete(files).where(_F.id == bindparam("id"), not_(exists().where(file_uses.c.file_id == _F.id))))
_ROWS: Final = Statement(select(func.count()).where(_F.sha256 == bindparam("sha256")))
_NAMED: Final = Statement(select(_F.sha256).where(_F.sha256 >= bindparam("first"), _F.sha256 <= bindparam("last")).distinct())
_UNFINISHED: Final = ".part"


class DiskFileStore:
    """Files in a directory, their rows in the database. Made once, by the process that holds the data directory."""

    def __init__(self, directory: Path, database: Database, ids: Ids, limit_bytes: int, quotas: Quotas = NO_QUOTAS) -> None:
        self._quotas = quotas
        self._directory = directory
        self._database = database
        self._ids = ids
        self._limit = limit_bytes
        self._one_by_one = asyncio.Lock()
        """Content and rows change together, or a file that is being stored loses its content to the deletion of another."""
        self._held: Counter[str] = Counter()
        """Files that somebody is about to use: nobody takes them for unused."""
        self._left: set[str] = set()
        """Contents that may have lost their last row and are still there, because a backup was being written."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in directory.glob(f"*{_UNFINISHED}"):
            left.unlink(missing_ok=True)

    async def put(self, tenant: str, name: str, content: AsyncIterator[bytes]) -> StoredFile:
        """See `FileStore`; raises StoreError where there is no room on the disk, InvalidRequestError where the tenant may have no more."""
        file_id = self._ids.new()
        part = self._directory / f"{file_id}{_UNFINISHED}"
        await self._check_space(tenant, 1)  # before a file of any size is taken
        try:
            digest, size = await self._receive(part, name, content)
            file = StoredFile(file_id, tenant, name, digest, size)
            async with self._one_by_one:
                await self._check_space(tenant, size)
                await self._keep(part, file)
                self._held[file.id] += 1
        finally:
            part.unlink(missing_ok=True)
        return file

    async def _check_space(self, tenant: str, size: int) -> None:
        """Raise InvalidRequestError where a tenant has no room for a file of so many bytes. Each file counts, also where the disk has its content once."""
        limit = self._quotas.of(tenant).file_bytes
        if limit is not None:
            (((used,),),) = await self._database.read([Query(_SPACE, {"tenant": tenant})])
            check_file_space(tenant, int(used), size, limit)

    async def _receive(self, part: Path, name: str, content: AsyncIterator[bytes]) -> tuple[str, int]:
        """Write `content` to `part` and to the disk; return its hash and size."""
        digest, size = hashlib.sha256(), 0
        with _told_as_store_error(name), part.open("xb") as out:
            async for chunk in content:
                size += len(chunk)
                if size > self._limit:
                    raise TooLargeError(f"the file {name} is over the limit of {self._limit} bytes")
                digest.update(chunk)
                out.write(chunk)  # into the page cache: no wait for the disk
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
        reach(CrashPoint.FILE_WRITTEN)
        return digest.hexdigest(), size

    async def _keep(self, part: Path, file: StoredFile) -> None:
        with _told_as_store_error(file.name):
            await asyncio.to_thread(self._settle, part, file.sha256)
        reach(CrashPoint.FILE_RENAMED)
        body = dump_row({"name": file.name, "size": file.size})
        row = {"id": file.id, "tenant": file.tenant, "sha256": file.sha256, "size": file.size, "body": body}
        try:
            await self._database.write([Op(_INSERT, row, 1)])
        except CommitInDoubtError:
            if await self.find(file.tenant, file.id) is None:
                raise  # the content stays: a commit in doubt may yet turn out to be on disk
        except StoreError:
            await self._drop_unused(file.sha256)
            raise
        reach(CrashPoint.FILE_SAVED)

    def _settle(self, part: Path, digest: str) -> None:
        part.rename(self._directory / digest)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    async def find(self, tenant: str, file_id: str) -> StoredFile | None:
        """See `FileStore`."""
        (found,) = await self._database.read([Query(_FIND, {"tenant": tenant, "id": file_id})])
        if not found:
            return None
        sha256, body = found[0]
        plain = load_row(body)
        return StoredFile(file_id, tenant, plain["name"], sha256, plain["size"])

    async def read(self, file: StoredFile) -> bytes:
        """See `FileStore`; raises StoreError where the content is gone or is no longer what was stored."""
        return await asyncio.to_thread(self._read, file)

    def _read(self, file: StoredFile) -> bytes:
        try:
            content = (self._directory / file.sha256).read_bytes()
        except OSError as error:
            raise StoreError(f"the file {file.name} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise StoreError(f"the file {file.name} is not what was stored")
        return content

    async def stream(self, file: StoredFile) -> AsyncIterator[bytes]:
        """See `FileStore`; raises StoreError where the content is gone, before anything is given."""
        try:
            content = (self._directory / file.sha256).open("rb")  # not in a thread: a reader that goes meanwhile would leave it open
        except OSError as error:
            raise StoreError(f"the file {file.name} cannot be read: {error.strerror}") from error
        try:
            while chunk := await asyncio.to_thread(content.read, CHUNK):
                yield chunk
        finally:
            content.close()

    def hold(self, file_ids: Iterable[str]) -> None:
        """See `FileStore`."""
        self._held.update(file_ids)

    async def settle(self, file_ids: Iterable[str]) -> None:
        """See `FileStore`."""
        for file_id in file_ids:
            self._held[file_id] -= 1
            if self._held[file_id] <= 0:
                del self._held[file_id]
                (found,) = await self._database.read([Query(_UNUSED_ONE, {"id": file_id})])
                await self._drop(found)

    async def sweep(self) -> None:
        """See `FileStore`."""
        after = ""
        while True:
            (page,) = await self._database.read([Query(_UNUSED_PAGE, {"after": after})])
            await self._drop(page)
            if len(page) < PAGE:
                break
            after = page[-1][0]
        for sha256 in sorted(self._left):
            async with self._one_by_one:
                await self._drop_unused(sha256)

    async def clear(self) -> None:
        """See `FileStore`."""
        names = sorted(await asyncio.to_thread(self._contents))
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            async with self._one_by_one:
                (found,) = await self._database.read([Query(_NAMED, {"first": page[0], "last": page[-1]})])
                for name in sorted(set(page) - {row[0] for row in found}):
                    await self._drop_unused(name)

    def _contents(self) -> list[str]:
        return [each.name for each in self._directory.iterdir() if each.suffix != _UNFINISHED]

    async def _drop(self, unused: Iterable[Row]) -> None:
        """Remove files that nobody uses or is about to use, unless somebody began to meanwhile."""
        for file_id, sha256 in unused:
            async with self._one_by_one:
                if file_id not in self._held:
                    await self._database.write([Op(_DELETE_UNUSED, {"id": file_id})])
                    await self._drop_unused(sha256)

    async def _drop_unused(self, sha256: str) -> None:
        """Remove a content that no row names; while a backup is being written that is left to a later sweep."""
        self._left.add(sha256)
        with suppress(OSError), self._no_backup_is_written():
            (((count,),),) = await self._database.read([Query(_ROWS, {"sha256": sha256})])
            if not count:
                reach(CrashPoint.FILE_FORGOTTEN)
                (self._directory / sha256).unlink(missing_ok=True)
            self._left.discard(sha256)

    @contextmanager
    def _no_backup_is_written(self) -> Iterator[None]:
        """Keep the contents for ourselves, since a backup copies first the database and then what its rows name; raises OSError where one does."""
        lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(lock)


@contextmanager
def _told_as_store_error(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"the file {name} cannot be stored: {error.strerror}") from error
