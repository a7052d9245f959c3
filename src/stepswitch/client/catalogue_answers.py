"""Further answers as values: what is said of documents, revisions, files and host keys. As in `answers`, `raw` has all that came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepswitch.client.reading import Reader

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that can be said about a document; `path` is empty for the whole."""

    code: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    @classmethod
    def read(cls, value: object) -> "Finding":
        """Return a finding as a value."""
        of = Reader(value, "finding")
        return cls(of.text("code"), of.maybe_text("path") or "", of.text("message"))


@dataclass(frozen=True, slots=True)
class Review:
    """Everything that can be said about a document: faults keep it from being stored, warnings do not."""

    faults: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Review":
        """Return a review as a value."""
        of = Reader(value, "review")
        return cls(tuple(map(Finding.read, of.items("faults"))), tuple(map(Finding.read, of.items("warnings"))), of.raw)


@dataclass(frozen=True, slots=True)
class Revision:
    """That a workflow was created or changed; `number` counts from 1."""

    number: int
    changed_at: datetime
    changed_by: str
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Revision":
        """Return a revision as a value."""
        of = Reader(value, "revision")
        return cls(of.number("number", 0), of.time("changedAt"), of.text("changedBy"), of.raw)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs: `op` is add, remove or replace, `path` a JSON Pointer."""

    op: str
    path: str
    before: Any
    after: Any
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Difference":
        """Return a difference as a value."""
        of = Reader(value, "difference")
        return cls(of.text("op"), of.text("path"), of.raw.get("before"), of.raw.get("after"), of.raw)


@dataclass(frozen=True, slots=True)
class FileAttachment:
    """A file that was added: `id` and `key` name it, `size` is in bytes, `sha256` in hex."""

    id: str
    key: str
    reference: str
    size: int
    sha256: str
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "FileAttachment":
        """Return a file as a value."""
        of = Reader(value, "file")
        return cls(of.text("id"), of.text("key"), of.text("reference"), of.number("size", 0), of.text("sha256"), of.raw)


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key that a server shows: `public_key` is an OpenSSH line, `fingerprint` is to be compared by a person."""

    public_key: str
    fingerprint: str
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "ShownKey":
        """Return a key as a value."""
        of = Reader(value, "host key")
        return cls(of.text("publicKey"), of.text("fingerprint"), of.raw)


@dataclass(frozen=True, slots=True)
class TrustedHostKey:
    """A host key that the service trusts."""

    host: str
    port: int
    public_key: str
    fingerprint: str
    added_by: str
    added_at: datetime
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "TrustedHostKey":
        """Return a trusted key as a value."""
        of = Reader(value, "host key")
        return cls(
            of.text("host"),
            of.number("port", 0),
            of.text("publicKey"),
            of.text("fingerprint"),
            of.text("addedBy"),
            of.time("addedAt"),
            of.raw,
        )


@dataclass(frozen=True, slots=True)
class VroLogin:
    """The login of a vRO, in clear, and the runs that an execution started there."""

    username: str
    password: str = field(repr=False)
    url: str
    run_uuids: tuple[str, ...]

    @classmethod
    def read(cls, value: object) -> "VroLogin":
        """Return a login as a value."""
        of = Reader(value, "login of a vRO")
        return cls(of.text("username"), of.text("password"), of.text("url"), of.texts("runUuids"))
