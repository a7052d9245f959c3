"""One conversation with a directory, in a thread of its own: this is all that knows ldap3. Called by `directory`, which bounds it and cuts it off.

Referrals are not followed, and names are sent as they are: whoever answers is the server of the settings, whose certificate was checked.
"""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from ldap3 import AUTO_BIND_NONE, BASE, DEREF_NEVER, NONE, SIMPLE, SUBTREE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException
from ldap3.core.results import (
    RESULT_INAPPROPRIATE_AUTHENTICATION,
    RESULT_INSUFFICIENT_ACCESS_RIGHTS,
    RESULT_INVALID_CREDENTIALS,
    RESULT_INVALID_DN_SYNTAX,
    RESULT_NO_SUCH_OBJECT,
    RESULT_SUCCESS,
    RESULT_UNWILLING_TO_PERFORM,
)
from ldap3.operation.search import parse_filter

from stepswitch.access.directory_rules import (
    DirectoryEntry,
    DirectoryFaultError,
    DirectoryRules,
    DirectoryServer,
    Encryption,
    ServiceAccount,
)
from stepswitch.access.directory_text import folded, name_of, text_of

MOST_GROUPS: Final = 1_000
_REFUSED: Final = frozenset(
    {
        RESULT_INVALID_CREDENTIALS,
        RESULT_NO_SUCH_OBJECT,
        RESULT_INVALID_DN_SYNTAX,
        RESULT_INAPPROPRIATE_AUTHENTICATION,
        RESULT_INSUFFICIENT_ACCESS_RIGHTS,
        RESULT_UNWILLING_TO_PERFORM,
    }
)
"""What says of a login that it is none: a wrong password, nobody there, or an account that is locked."""


class _CheckedTls(Tls):
    """TLS with the context of the standard library, which checks the certificate against the name of the server."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 # as ldap3 calls it
        """Encrypt the connection, or raise: there is no way around the handshake."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)


class Talk:
    """A connection, opened with the first question. `cut` may be called from anywhere, and ends whatever waits."""

    def __init__(self, server: DirectoryServer, rules: DirectoryRules, service: ServiceAccount | None) -> None:
        self._server = server
        self._rules = rules
        self._service = service
        self._connection: Connection | None = None
        self._is_cut = False

    def check(self, username: str, password: str) -> DirectoryEntry | None:
        """Return who logs in with a name and a password, None where that is nobody; raises DirectoryFaultError."""
        with self._open():
            if not self._rules.user_dn:
                self._bind_service()
                found = self._one(self._rules.base, SUBTREE, self._rules.filter_of(username))
                if found is None or not self._binds(str(found["dn"]), password):
                    return None
                self._bind_service()
                return self._entry(found, username)
            if not self._binds(self._rules.entry_of(username), password):
                return None
            if self._service is not None:
                self._bind_service()
            found = self._one(self._rules.entry_of(username), BASE, self._rules.filter_of(username))
            return None if found is None else self._entry(found, username)

    def look(self, entry_id: str) -> DirectoryEntry | None:
        """Return somebody as he is now, None where he is not there any more; raises DirectoryFaultError."""
        with self._open():
            self._bind_service()
            found = self._one(self._rules.base, SUBTREE, self._rules.filter_of_id(entry_id))
            return None if found is None else self._entry(found, "")

    def cut(self) -> None:
        """End the conversation at once."""
        self._is_cut = True
        connection = self._connection
        with suppress(OSError, AttributeError):  # there is none yet, or it has just gone
            connection.socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    @contextmanager
    def _open(self) -> Iterator[None]:
        server = self._server
        try:
            self._connection = self._reached()
            if self._is_cut:
                raise DirectoryFaultError("it took too long to answer")
            if server.encryption is Encryption.START_TLS and not self._connection.start_tls(read_server_info=False):
                raise DirectoryFaultError("it does not start TLS")
            yield
        except (LDAPException, OSError) as error:
            raise DirectoryFaultError(self._why(error)) from None
        finally:
            _close(self._connection)

    def _reached(self) -> Connection:
        """Return an open connection to the first address of the server that can be reached."""
        server = self._server
        tls = None if server.encryption is Encryption.NONE else _CheckedTls(server.trusted(), server.host)
        failure: LDAPException | None = None
        for _, _, _, _, address in socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM):
            use_ssl = server.encryption is Encryption.TLS
            there = Server(str(address[0]), server.port, use_ssl=use_ssl, tls=tls, connect_timeout=server.seconds, get_info=NONE)
            self._connection = Connection(
                there,
                client_strategy=SYNC,
                auto_bind=AUTO_BIND_NONE,
                auto_referrals=False,
                check_names=False,
                auto_escape=False,
                read_only=True,
            )
            try:
                self._connection.open(read_server_info=False)
            except LDAPException as error:
                _close(self._connection)
                failure = error
            else:
                return self._connection
        raise failure or DirectoryFaultError("its name stands for no address")

    def _bind(self, dn: str, password: str) -> int:
        assert self._connection is not None  # noqa: S101 # for the type checker
        assert password  # noqa: S101 # an empty one would be let in as nobody: RFC 4513, 5.1.2
        self._connection.user, self._connection.password, self._connection.authentication = dn, password, SIMPLE
        self._connection.bind(read_server_info=False)
        return int(self._connection.result["result"])

    def _binds(self, dn: str, password: str) -> bool:
        """Return whether somebody's password is right."""
        result = self._bind(dn, password)
        if result not in (RESULT_SUCCESS, *_REFUSED):
            raise DirectoryFaultError(f"it answers to a login: {self._said()}")
        return result == RESULT_SUCCESS

    def _bind_service(self) -> None:
        if self._service is None:
            raise DirectoryFaultError("there is no service account to ask with")
        try:
            password = self._service.secret()
        except (OSError, ValueError) as error:
            raise DirectoryFaultError(f"the password of the service account cannot be read: {error}") from None
        if not password:
            raise DirectoryFaultError("the password of the service account is empty")
        if self._bind(self._service.dn, password) != RESULT_SUCCESS:
            raise DirectoryFaultError(f"it refuses the service account: {self._said()}")

    def _one(self, base: str, scope: Any, wanted: str) -> dict[str, Any] | None:
        """Return the entry that is searched, None where there is none, or where nobody can say which of several."""
        found = self._search(base, scope, wanted, self._rules.attributes, most=2)
        return found[0] if len(found) == 1 else None

    def _search(self, base: str, scope: Any, wanted: str, attributes: list[str], *, most: int) -> Sequence[dict[str, Any]]:
        assert self._connection is not None  # noqa: S101 # for the type checker
        self._connection.search(base, wanted, scope, dereference_aliases=DEREF_NEVER, attributes=attributes, size_limit=most)
        result = int(self._connection.result["result"])
        if scope == BASE and result == RESULT_NO_SUCH_OBJECT:
            return []
        entries = [each for each in self._connection.response or () if each.get("type") == "searchResEntry"]
        if result != RESULT_SUCCESS and len(entries) < most:
            raise DirectoryFaultError(f"it answers to a search below {base!r}: {self._said()}")
        return entries

    def _entry(self, found: dict[str, Any], username: str) -> DirectoryEntry:
        rules, dn = self._rules, str(found["dn"])
        ids, names = _values(found, rules.id_attribute), _names(_values(found, rules.name_attribute))
        if len(ids) != 1:
            raise DirectoryFaultError(
                f"the entry {dn!r} shows no {rules.id_attribute}, which tells people apart for good (ldap_id_attribute)"
            )
        name = next((each for each in names if folded(each) == folded(username)), names[0] if names else "")
        groups = [text_of(each) for each in _values(found, rules.member_of)] if rules.member_of else []
        if rules.group_base:
            wanted = rules.filter_of_groups(dn, names)
            groups += [str(each["dn"]) for each in self._search(rules.group_base, SUBTREE, wanted, ["1.1"], most=MOST_GROUPS)]
        return DirectoryEntry(dn, text_of(ids[0]), name, tuple(dict.fromkeys(groups)))

    def _why(self, error: Exception) -> str:
        """Return in words why nothing came of it: what ldap3 noted itself is clearer than what it raises."""
        noted = None if self._connection is None else self._connection.last_error
        return " ".join(str(noted or error).split()) or type(error).__name__

    def _said(self) -> str:
        assert self._connection is not None  # noqa: S101 # for the type checker
        result = self._connection.result
        return " ".join(f"{result.get('description')} {result.get('message') or ''}".split())


def _close(connection: Connection | None) -> None:
    """Close a connection, also one that ldap3 has given up and left open."""
    if connection is None:
        return
    left: socket.socket | None = connection.socket
    with suppress(LDAPException, OSError):
        connection.unbind()
    if left is not None:
        left.close()


def is_filter(text: str) -> bool:
    """Return whether a text is a filter that can be sent."""
    try:
        parse_filter(  # type: ignore[no-untyped-call]
            text, None, auto_escape=False, auto_encode=False, validator=None, check_names=False
        )
    except (LDAPException, ValueError, IndexError):
        return False
    return bool(text)


def _values(found: dict[str, Any], attribute: str) -> list[bytes]:
    """Return the values of an attribute, which is called by its name in any case."""
    raw = found["raw_attributes"]
    return next((list(values) for name, values in raw.items() if name.casefold() == attribute.casefold()), [])


def _names(values: Sequence[bytes]) -> list[str]:
    """Return what somebody can be called here, in an order that stays the same: a directory has none."""
    return sorted(filter(None, map(name_of, values)), key=lambda name: (folded(name), name))
