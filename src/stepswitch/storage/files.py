"""Files beside the database, named by their content. Implements `engine.ports.FileStore`.

A file is written, fsynced and renamed before the row that names it commits, so that a row never names a file that is not there.
Two files of equal content share one place on the disk; it goes with the last row.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select

from stepswitch.domain.errors import StoreError, TooLargeError
from stepswitch.engine.ports import Ids, StoredFile
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.tables import files

_F = files.c
_INSERT: Final = Statement(insert(files))
_FIND: Final = Statement(
    select(_F.id, _F.tenant, _F.name, _F.sha256, _F.size).where(_F.tenant == bindparam("tenant"), _F.id == bindparam("id"))
)
_DELETE: Final = Statement(delete(files).where(_F.id == bindparam("id")))
_SHARED: Final = Statement(select(func.count()).where(_F.sha256 == bindparam("sha256")))


class DiskFileStore:
    """Files in a directory, their rows in the database."""

    def __init__(self, directory: Path, database: Database, ids: Ids, limit_bytes: int) -> None:
        self._directory = directory
        self._database = database
        self._ids = ids
        self._limit = limit_bytes
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def put(self, tenant: str, name: str, content: AsyncIterator[bytes]) -> StoredFile:
        """See `FileStore`."""
        file_id = self._ids.new()
        part = self._directory / f"{file_id}.part"
        digest, size = hashlib.sha256(), 0
        try:
            with part.open("xb") as out:  # a write into the page cache
                async for chunk in content:
                    size += len(chunk)
                    if size > self._limit:
                        raise TooLargeError(f"the file {name} is over the limit of {self._limit} bytes")
                    digest.update(chunk)
                    out.write(chunk)
                out.flush()
                await asyncio.to_thread(os.fsync, out.fileno())
            await asyncio.to_thread(self._settle, part, digest.hexdigest())
        finally:
            part.unlink(missing_ok=True)
        file = StoredFile(file_id, tenant, name, digest.hexdigest(), size)
        row = {"id": file.id, "tenant": tenant, "name": name, "sha256": file.sha256, "size": size}
        await self._database.write([Op(_INSERT, row, 1)])
        return file

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
        return StoredFile(*found[0]) if found else None

    async def read(self, file: StoredFile) -> bytes:
        """See `FileStore`; raises StoreError where the content is gone or is no longer what was stored."""
        try:
            content = await asyncio.to_thread((self._directory / file.sha256).read_bytes)
        except OSError as error:
            raise StoreError(f"the file {file.name} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise StoreError(f"the file {file.name} is not what was stored")
        return content

    async def delete(self, file: StoredFile) -> None:
        """See `FileStore`."""
        await self._database.write([Op(_DELETE, {"id": file.id})])
        ((count,),) = (await self._database.read([Query(_SHARED, {"sha256": file.sha256})]))[0]
        if not count:
            (self._directory / file.sha256).unlink(missing_ok=True)
