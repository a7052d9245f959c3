"""Where the audit trail is sent on to, how long it is kept, and the command that makes it shorter, wired. Called by `checks`, `wiring`, and by `cli` through `bootstrap`."""

import contextlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from stepswitch.bootstrap.beside import open_audit
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.audit import Entry, Record
from stepswitch.engine.audit_ports import AuditStore
from stepswitch.engine.audit_pruning import Pruning, checked, declare, finish, to_prune
from stepswitch.engine.audit_trail import Kept
from stepswitch.storage.backup import to_disk
from stepswitch.telemetry.syslog import destination_of


def audit_faults(settings: Settings) -> Iterator[str]:
    """Yield each fault of what the settings say of where the trail is sent on to, as a sentence."""
    certificates = settings.audit_syslog_ca_file
    if settings.audit_syslog is None:
        if certificates is not None:
            yield "audit_syslog_ca_file is set and audit_syslog is not: there is no syslog server that it could be about"
        return
    try:
        destination = destination_of(settings.audit_syslog, certificates)
    except SettingsError as error:
        yield str(error)
        return
    if certificates is not None and destination.scheme != "tls":
        yield f"audit_syslog_ca_file is set and audit_syslog is {destination.name}: without tls:// nobody looks at a certificate"
    elif destination.scheme == "tls":
        try:
            destination.trusted()
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or error.strerror or "unreadable"
            yield f"audit_syslog_ca_file: no certificates can be read from {certificates}: {reason}"


def kept_records(settings: Settings) -> Kept | None:
    """Return how long records are kept; None where that is for ever."""
    days = settings.audit_retention_days
    return None if days is None else Kept(round(days * 86_400_000), _sent_to(settings))


def _sent_to(settings: Settings) -> str | None:
    """Return what the place is called that the trail is sent on to; None where it is not."""
    return None if settings.audit_syslog is None else destination_of(settings.audit_syslog, settings.audit_syslog_ca_file).name


async def prune_audit(settings: Settings, before: str, entry: Entry, export: Path | None) -> Pruning:
    """Remove the records of a data directory that are older than a time, each of them written to the new file `export` before; return which.

    What an earlier pruning was kept from removing goes too. Raises SettingsError where the file cannot be written: then nothing is removed.
    """
    async with open_audit(settings.data_dir) as store:
        await finish(store)
        pruning = await to_prune(store, before, _sent_to(settings))
        if pruning.count:
            head = await _checked(store, pruning, export)
            await declare(store, pruning, head, entry)
            await finish(store)
        return pruning


async def _checked(store: AuditStore, pruning: Pruning, export: Path | None) -> str:
    with _exporting(export) as out:
        return await checked(store, pruning, None if out is None else lambda record: _write(out, record))


def _write(out: TextIO, record: Record) -> None:
    out.write(f"{record.line}\n")


@contextlib.contextmanager
def _exporting(path: Path | None) -> Iterator[TextIO | None]:
    """Give the new file that is exported to; at the end of the block it is on the disk. What was begun and not ended is removed."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                yield out
            to_disk(path)
            to_disk(path.parent)
        except BaseException:
            path.unlink()
            raise
    except FileExistsError:
        raise SettingsError(f"{path} exists and is not overwritten; nothing was removed") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}; nothing was removed") from None
