"""What entries of an inventory are made of: logins, addresses, keys, algorithms, ways to a VIM and to a source. Read for `inventory_document`.

No message shows a value that may be a secret which somebody has put in the wrong place.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from stepswitch.domain.devices import Device, device_at, unfit_address
from stepswitch.domain.errors import ErrorCode, ValueMisfitError
from stepswitch.domain.inventory import (
    DEFAULT_API_VERSION,
    NO_LOGIN,
    Algorithms,
    AlgorithmSet,
    Cluster,
    Endpoint,
    Login,
    OAuth,
    TimeLimits,
)
from stepswitch.domain.names import unfit_name, unfit_text
from stepswitch.domain.policies import MAX_SECONDS
from stepswitch.domain.readers import ObjectReader, refuse_unknown
from stepswitch.domain.references import Reference, reference_in
from stepswitch.domain.this_machine import is_this_machine
from stepswitch.domain.urls import read_url

NO_SECRETS: Final = (
    'an inventory holds no secrets: make a credential (stepswitch credential add) and name it here, as {"credential": "its name"}'
)
_LOGIN: Final = frozenset({"username", "password"})
_DEVICE_LOGIN: Final = _LOGIN | {"privateKey", "passphrase", "enablePassword"}
_ENDPOINT: Final = frozenset({"url", "login", "caCertificates"})
_CLUSTER: Final = frozenset({"url", "namespace", "token", "clientCertificate", "clientKey", "caCertificates"})
_ALGORITHMS: Final = frozenset({"keyExchange", "hostKeys", "ciphers", "macs"})
_OAUTH: Final = frozenset({"tokenUrl", "clientId", "clientSecret", "scope"})
_LIMITS: Final = frozenset({"connectSeconds", "silenceSeconds", "attemptSeconds"})
LEAST_SECONDS: Final = 0.1
_ALGORITHM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,63}", re.ASCII)
_URL: Final = re.compile(r"(https?)://(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?(/[!-~]*)?", re.ASCII)
_API_VERSION: Final = re.compile(r"[12]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)
_FILTER: Final = re.compile(r"\([^;]+\)(;\([^;]+\))*")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_KEY_LINE: Final = re.compile(r"([a-z0-9@.-]{3,64}) ([A-Za-z0-9+/]+={0,2})( .*)?", re.ASCII)
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


def unfit_id(name: str) -> str | None:
    """Return why no entry can be called `name`, which stands in paths of the API; None where one can."""
    if name.isprintable() and name == name.strip() and "/" not in name and name not in (".", ".."):
        return None
    return "an id has printable characters only, none of them '/', and no blank at either end"


def texts(reader: ObjectReader, field: str) -> list[tuple[int, str]]:
    """Return the texts in the array of a field with their places, noting what is none, what is empty and what stands there twice."""
    found: dict[str, int] = {}
    for place, item in enumerate(reader.items(field)):
        if not isinstance(item, str):
            reader.fault(ErrorCode.WRONG_TYPE, f"{field}[{place}]", str(ValueMisfitError(item, "string")))
        elif (why := unfit_name(item) if len(item) < 256 else unfit_text(item)) is not None:
            reader.fault(ErrorCode.INVALID_VALUE, f"{field}[{place}]", why)
        elif item in found:
            reader.fault(ErrorCode.INVALID_VALUE, f"{field}[{place}]", "stands there twice; keep one")
        else:
            found[item] = place
    return [(place, item) for item, place in found.items()]


def read_login(parent: ObjectReader, field: str) -> Login:
    """Return the user name and the password of a login."""
    reader = parent.child(field)
    if reader is None:
        return NO_LOGIN
    refuse_unknown(reader, _LOGIN)
    return Login(reader.name("username"), _credential(reader, "password"))


def read_device_login(parent: ObjectReader) -> Login:
    """Return how somebody logs in to a device."""
    reader = parent.child("login")
    if reader is None:
        return NO_LOGIN
    refuse_unknown(reader, _DEVICE_LOGIN)
    if reader.source.get("passphrase") is not None and reader.source.get("privateKey") is None:
        reader.fault(ErrorCode.INVALID_VALUE, "passphrase", "protects a private key, and none is given: give privateKey, too")
    return Login(
        username=reader.name("username"),
        password=_credential(reader, "password"),
        private_key=_credential(reader, "privateKey"),
        passphrase=_credential(reader, "passphrase"),
        enable_password=_credential(reader, "enablePassword"),
    )


def _credential(reader: ObjectReader, field: str) -> Reference | None:
    value = reader.source.get(field)
    if value is None:
        return None
    found = reference_in(value) if isinstance(value, Mapping) else None
    if found is None:
        reader.fault(ErrorCode.INVALID_VALUE, field, NO_SECRETS)
    return found


def read_endpoint(parent: ObjectReader, field: str) -> Endpoint | None:
    """Return a vCenter or a vRO; None where there is none."""
    reader = parent.child(field)
    if reader is None:
        return None
    refuse_unknown(reader, _ENDPOINT)
    reader.require("url")
    return Endpoint(read_address(reader), read_login(reader, "login"), read_certificates(reader, "caCertificates"))


def read_cluster(parent: ObjectReader, field: str) -> Cluster | None:
    """Return a Kubernetes cluster; None where there is none."""
    reader = parent.child(field)
    if reader is None:
        return None
    refuse_unknown(reader, _CLUSTER)
    reader.require("url")
    if (reader.source.get("clientCertificate") is None) != (reader.source.get("clientKey") is None):
        reader.report.fault(ErrorCode.INVALID_VALUE, reader.path, "has one of clientCertificate and clientKey: they go together")
    return Cluster(
        url=read_address(reader),
        namespace=reader.name("namespace"),
        token=_credential(reader, "token"),
        client_certificate=read_certificates(reader, "clientCertificate"),
        client_key=_credential(reader, "clientKey"),
        ca_certificates=read_certificates(reader, "caCertificates"),
    )


def read_address(reader: ObjectReader, field: str = "url") -> str:
    """Return where something is asked over HTTP."""
    url = reader.name(field)
    if url is None:
        return ""
    why = _unfit_url(url)
    if why is not None:
        reader.fault(ErrorCode.INVALID_VALUE, field, why)
    return url


def read_address_to_ask(reader: ObjectReader, field: str = "url") -> str:
    """Return an address that the service itself asks: one that can be read in one way only."""
    url = read_address(reader, field)
    if url and _unfit_url(url) is None:
        try:
            read_url(url)
        except ValueError as error:
            reader.fault(ErrorCode.INVALID_VALUE, field, str(error))
    return url


def read_oauth(parent: ObjectReader) -> OAuth | None:
    """Return how a token is got; None where none is."""
    reader = parent.child("oauth")
    if reader is None:
        return None
    refuse_unknown(reader, _OAUTH)
    reader.require("tokenUrl", "clientId", "clientSecret")
    secret = _credential(reader, "clientSecret")
    return OAuth(
        token_url=read_address_to_ask(reader, "tokenUrl"),
        client_id=reader.name("clientId") or "",
        client_secret=secret or Reference(""),
        scope=reader.name("scope"),
    )


def read_login_to_ask(parent: ObjectReader) -> Login:
    """Return the login of somebody who asks over HTTP, which is a whole one or none; beside another way to say who asks it is a fault."""
    login = read_login(parent, "login")
    reader = parent.child("login")
    if reader is not None:
        reader.require("username", "password")
        if parent.source.get("oauth") is not None:
            parent.fault(ErrorCode.INVALID_VALUE, "login", "stands beside oauth: give one of the two")
    return login


def read_api_version(reader: ObjectReader) -> str:
    """Return the version of an interface of ETSI."""
    version = reader.name("apiVersion")
    if version is not None and not _API_VERSION.fullmatch(version):
        reader.fault(ErrorCode.INVALID_VALUE, "apiVersion", "is to be a version of the interface such as 2.0.0 or 1.3.0")
    return version or DEFAULT_API_VERSION


def read_filter(reader: ObjectReader) -> str | None:
    """Return an attribute filter, of which whoever is asked knows whether he has such attributes."""
    text = reader.name("filter")
    if text is not None and not _FILTER.fullmatch(text):
        reader.fault(ErrorCode.INVALID_VALUE, "filter", "is to be a filter such as (eq,vnfProductName,SMF), with ';' between several")
    return text


def _unfit_url(url: str) -> str | None:
    if "@" in url:
        return "has a user or a password in it: " + NO_SECRETS
    found = _URL.fullmatch(url)
    if found is None or "?" in url or "#" in url or int(found[4] or 443) not in range(1, 65_536):
        return "is to be an address such as https://vcenter.example.net, with a port and a path or without"
    if found[1] == "http" and not is_this_machine(found[2] or found[3]):
        return "is to begin with https://: what goes there without TLS can be read on the way"
    return None


def read_certificates(reader: ObjectReader, field: str) -> str | None:
    """Return certificates in PEM; None where there are none."""
    text = reader.text(field)
    if text is None:
        return None
    if "PRIVATE" in text:
        reader.fault(ErrorCode.INVALID_VALUE, field, "has a key in it; " + NO_SECRETS)
    elif _CERTIFICATE not in text:
        reader.fault(ErrorCode.INVALID_VALUE, field, f"is to be one certificate or several in PEM, each beginning with {_CERTIFICATE}")
    return text


def read_addresses(reader: ObjectReader) -> tuple[Device, ...]:
    """Return the addresses of a device, at least one."""
    if not reader.source.get("addresses"):
        reader.fault(ErrorCode.MISSING_FIELD, "addresses", "name at least one: a host name or an address, as steps are given it")
    found: dict[Device, int] = {}
    for place, text in texts(reader, "addresses"):
        why = unfit_address(text)
        if why is not None:
            reader.fault(ErrorCode.INVALID_VALUE, f"addresses[{place}]", why)
        elif found.setdefault(device_at(text), place) != place:
            reader.fault(ErrorCode.INVALID_VALUE, f"addresses[{place}]", "is another spelling of one that stands there already; keep one")
    return tuple(found)


def read_host_keys(reader: ObjectReader) -> tuple[str, ...]:
    """Return the keys by which a device is known: OpenSSH lines without their comments, and fingerprints."""
    found = []
    for place, text in texts(reader, "hostKeys"):
        line = _KEY_LINE.fullmatch(text)
        if _FINGERPRINT.fullmatch(text):
            found.append(text)
        elif line is not None and _is_key(line[1], line[2]):
            found.append(f"{line[1]} {line[2]}")
        else:
            message = "is to be a line such as 'ssh-ed25519 AAAA…', or a fingerprint such as 'SHA256:…' with 43 characters"
            reader.fault(ErrorCode.INVALID_VALUE, f"hostKeys[{place}]", message)
    return tuple(found)


def _is_key(kind: str, body: str) -> bool:
    """Return whether the base64 of a key is one of this kind: it begins with the kind's own name."""
    try:
        blob = base64.b64decode(body, validate=True)
    except binascii.Error:
        return False
    named = len(kind).to_bytes(4, "big") + kind.encode("ascii")
    return blob.startswith(named) and len(blob) > len(named)


def read_algorithms(parent: ObjectReader) -> AlgorithmSet | Algorithms:
    """Return which algorithms SSH may use: a set by its name, or lists."""
    given = parent.source.get("algorithms")
    if not isinstance(given, Mapping):
        return parent.word("algorithms", AlgorithmSet) or AlgorithmSet.MODERN
    reader = ObjectReader(given, parent.at("algorithms"), parent.report)
    refuse_unknown(reader, _ALGORITHMS)
    found = [_algorithms(reader, field) for field in ("keyExchange", "hostKeys", "ciphers", "macs")]
    if not any(found):
        reader.report.fault(ErrorCode.INVALID_VALUE, reader.path, f"lists none: give at least one of {', '.join(sorted(_ALGORITHMS))}")
    return Algorithms(*found)


def _algorithms(reader: ObjectReader, field: str) -> tuple[str, ...]:
    found = texts(reader, field)
    for place, name in found:
        if not _ALGORITHM.fullmatch(name):
            reader.fault(ErrorCode.INVALID_VALUE, f"{field}[{place}]", "is no name of an algorithm, as ssh -Q shows them")
    return tuple(name for _, name in found)


def read_time_limits(parent: ObjectReader) -> TimeLimits:
    """Return how long a device may take."""
    reader = parent.child("timeLimits")
    if reader is None:
        return TimeLimits()
    refuse_unknown(reader, _LIMITS)
    return TimeLimits(
        *(reader.amount(field, LEAST_SECONDS, MAX_SECONDS) for field in ("connectSeconds", "silenceSeconds", "attemptSeconds"))
    )
