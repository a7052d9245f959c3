"""The files that one attempt makes: stored and held until its report is, then the execution's or removed. Used by `attempt`.

A file is on the disk, with its row, before the report that names it; nobody owns it until then. A stop in between leaves a file that
belongs to nobody, which the next start sweeps. No file is ever named that is not there, and none stays that nobody names.
"""

from collections.abc import AsyncIterator, Mapping

import structlog

from stepswitch.domain.errors import AttachmentError, ErrorCode, InvalidRequestError, StoreError, TooLargeError
from stepswitch.domain.files import MOST
from stepswitch.domain.names import shown, unfit_name
from stepswitch.engine.claims import Grant
from stepswitch.engine.ports import FileStore
from stepswitch.engine.records import StoredFile

_log = structlog.get_logger("stepswitch.worker")


class MadeFiles:
    """Keys and files as the step type made them; `settle` lets go of all."""

    def __init__(self, grant: Grant, files: FileStore) -> None:
        self._grant = grant
        self._files = files
        self._held: set[tuple[str, str]] = set()

    async def add(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        """Store a file and hold it; raises AttachmentError where it cannot be kept under `key`, before anything is read where that is known."""
        self._check_key(key)
        try:
            file = await self._files.put(self._grant.tenant, key, content)
        except TooLargeError as error:
            raise AttachmentError(ErrorCode.TOO_LARGE, str(error)) from None
        except InvalidRequestError as error:
            raise AttachmentError(error.faults[0].code, str(error)) from None
        except StoreError as error:
            raise AttachmentError(error.code, str(error)) from None
        self._held.add((key, file.id))
        return file

    def check(self, named: Mapping[str, str]) -> None:
        """Raise TypeError where an outcome names a file that this attempt has not made under that key."""
        if not named.items() <= self._held:
            raise TypeError("a step type named a file in its outcome that this attempt has not made")

    async def settle(self) -> None:
        """Hold them no longer: those that became the execution's stay, the others are removed, now or by the timekeeper."""
        held, self._held = {file_id for _, file_id in self._held}, set()
        try:
            await self._files.settle(held)
        except StoreError as error:
            _log.warning("files of a step are left to be swept", execution=self._grant.task.execution_id, error=str(error))

    def _check_key(self, key: str) -> None:
        why = unfit_name(key)
        if why is not None:
            raise AttachmentError(ErrorCode.INVALID_VALUE, f"no attachment can be called {shown(key)!r}: {why}")
        if key in self._grant.fixed_files:
            message = f"the file {shown(key)} belongs to the workflow, and no step may put another in its place; choose another key"
            raise AttachmentError(ErrorCode.INVALID_VALUE, message)
        if key in self._grant.attachments.values():
            message = f"{shown(key)} is the id of another file of the execution; choose another key"
            raise AttachmentError(ErrorCode.INVALID_VALUE, message)
        if key not in self._grant.attachments and len(self._grant.attachments) >= MOST:
            raise AttachmentError(ErrorCode.TOO_LARGE, f"an execution has at most {MOST} files")
