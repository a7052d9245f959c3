"""A real directory, OpenLDAP's slapd from a folder of its own, on high ports of 127.0.0.1. Used by every test that needs users whom somebody else knows.

Nothing of the system's own slapd is used or touched. Where the machine has none, the test is skipped.
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, NONE, Connection, Server

from tests.certificates import certificate_files

_SEARCHED: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/openldap"])
_MODULES: Final = ("/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap")
_SCHEMAS: Final = ("/etc/ldap/schema", "/etc/openldap/schema")
BASE: Final = "dc=example,dc=net"
PEOPLE: Final = f"ou=people,{BASE}"
GROUPS: Final = f"ou=groups,{BASE}"
SERVICE: Final = f"cn=stepswitch,{BASE}"
_ROOT: Final = f"cn=root,{BASE}"
_SETTINGS: Final = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
moduleload memberof
pidfile {place}/slapd.pid
argsfile {place}/slapd.args
TLSCACertificateFile {certificate}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
database mdb
maxsize 16777216
suffix {base}
directory {place}/data
rootdn {root}
rootpw {root_password}
index entryUUID eq
overlay memberof
memberof-group-oc groupOfNames
memberof-refint true
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by self read by * none
{more}
"""


def missing() -> str | None:
    """Return what this machine lacks for a directory, as a sentence; None where it has all."""
    if shutil.which("slapd", path=_SEARCHED) is None or not any(Path(each).is_dir() for each in _SCHEMAS):
        return "there is no OpenLDAP server here; install it (Debian: apt-get install slapd)"
    return None


class Slapd:
    """A directory with a service account, and people and groups as tests add them. `start` skips the test where the machine has none."""

    host: Final = "127.0.0.1"

    def __init__(self, more_settings: str = "") -> None:
        self.port = 0
        self.tls_port = 0
        self.password = f"sp-{secrets.token_hex(8)}"
        self.directory = Path()
        self.certificate = Path()
        self._root_password = secrets.token_hex(8)
        self._more_settings = more_settings
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        reason = missing()
        if reason is not None:
            pytest.skip(reason)
        self.directory = Path(tempfile.mkdtemp(prefix="stepswitch-slapd-"))
        try:
            self._prepare()
            self.come_up()
            self._fill()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go_down()
        shutil.rmtree(self.directory)

    @property
    def url(self) -> str:
        """Where it speaks without encryption, until somebody starts it."""
        return f"ldap://{self.host}:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where it speaks with TLS only."""
        return f"ldaps://{self.host}:{self.tls_port}"

    @property
    def lines(self) -> list[str]:
        """What it logged: one line for each question, and for each answer."""
        with self._news:
            return list(self._lines)

    def come_up(self) -> None:
        """Start, on the same ports as before; returns when it listens."""
        for _ in range(20):
            ports = (self.port, self.tls_port) if self.port else (_free_port(), _free_port())
            if self._come_up_at(*ports):
                self.port, self.tls_port = ports
                return
        raise AssertionError("slapd does not start: " + "\n".join(self._lines[-10:]))

    def go_down(self) -> None:
        """Stop at once."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._reader is not None
        assert self._process.stderr is not None
        self._reader.join(10)
        self._process.stderr.close()
        self._process = None

    def add_person(self, name: str, password: str, *groups: str, **more: Any) -> str:
        """Make somebody who is in groups, and return the name of his entry."""
        dn = f"uid={name},{PEOPLE}"
        self._change(lambda root: root.add(dn, "inetOrgPerson", {"uid": name, "cn": name, "sn": name, "userPassword": password, **more}))
        for group in groups:
            self.join(dn, group)
        return dn

    def add_group(self, name: str, base: str = GROUPS) -> str:
        """Make a group that nobody is in but the service account, and return the name of its entry."""
        dn = f"cn={name},{base}"
        self._change(lambda root: root.add(dn, "groupOfNames", {"cn": name, "member": SERVICE}))
        return dn

    def add_unit(self, name: str, base: str = BASE) -> str:
        """Make a unit, and return the name of its entry."""
        dn = f"ou={name},{base}"
        self._change(lambda root: root.add(dn, "organizationalUnit", {"ou": name}))
        return dn

    def join(self, dn: str, group: str) -> None:
        """Take somebody into a group."""
        self._change(lambda root: root.modify(group, {"member": [(MODIFY_ADD, [dn])]}))

    def leave(self, dn: str, group: str) -> None:
        """Take somebody out of a group."""
        self._change(lambda root: root.modify(group, {"member": [(MODIFY_DELETE, [dn])]}))

    def give(self, dn: str, attribute: str, *values: str) -> None:
        """Give an entry other values of an attribute."""
        self._change(lambda root: root.modify(dn, {attribute: [(MODIFY_REPLACE, list(values))]}))

    def rename(self, dn: str, name: str) -> None:
        """Call somebody otherwise."""
        self._change(lambda root: root.modify_dn(dn, f"uid={name}"))

    def remove(self, dn: str) -> None:
        """Remove an entry."""
        self._change(lambda root: root.delete(dn))

    def _change(self, change: Callable[[Any], Any]) -> None:
        root = Connection(Server(self.host, self.port, get_info=NONE), _ROOT, self._root_password, auto_bind=True, check_names=False)
        try:
            change(root)
            assert root.result["description"] == "success", root.result
        finally:
            root.unbind()

    def _prepare(self) -> None:
        program = shutil.which("slapd", path=_SEARCHED)
        assert program is not None
        # Where a profile confines the system's own slapd to its folders, it does so by its path.
        shutil.copy(program, self.directory / "slapd")
        self.certificate, key = certificate_files(self.directory, "directory")
        (self.directory / "data").mkdir()
        text = _SETTINGS.format(
            schema=next(each for each in _SCHEMAS if Path(each).is_dir()),
            modules=next(each for each in _MODULES if Path(each).is_dir()),
            place=self.directory,
            certificate=self.certificate,
            key=key,
            base=BASE,
            root=_ROOT,
            root_password=self._root_password,
            service=SERVICE,
            more=self._more_settings,
        )
        (self.directory / "slapd.conf").write_text(text)

    def _fill(self) -> None:
        self._change(lambda root: root.add(BASE, ["dcObject", "organization"], {"dc": "example", "o": "example"}))
        service = {"cn": "stepswitch", "sn": "x", "userPassword": self.password}
        self._change(lambda root: root.add(SERVICE, "inetOrgPerson", service))
        for unit in ("people", "groups"):
            self.add_unit(unit)

    def _come_up_at(self, port: int, tls_port: int) -> bool:
        urls = f"ldap://{self.host}:{port}/ ldaps://{self.host}:{tls_port}/"
        words = [str(self.directory / "slapd"), "-f", str(self.directory / "slapd.conf"), "-h", urls, "-d", "stats"]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, errors="replace")
        started = len(self._lines)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        with self._news:
            self._news.wait_for(lambda: any("slapd starting" in line or not line for line in self._lines[started:]), 20)
            starts = any("slapd starting" in line for line in self._lines[started:])
        if starts and self._listens(port):
            return True
        self.go_down()
        return False

    def _listens(self, port: int) -> bool:
        """Return whether it listens, which it does a moment after it has said that it starts, or never."""
        assert self._reader is not None
        while self._reader.is_alive():
            with suppress(ConnectionRefusedError), socket.create_connection((self.host, port), timeout=10):
                return True
            self._reader.join(0.01)
        return False

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._note(line.rstrip() or " ")
        self._note("")

    def _note(self, line: str) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
