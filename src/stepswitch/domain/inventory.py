"""The inventory as a value: what there is, where it is, and how it is reached. Read from its document by `inventory_document`.

It holds no secret: where one is needed it names a credential. What is looked up in it is never changed; a new inventory is a new value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stepswitch.domain.devices import Device, written_alike
from stepswitch.domain.references import Reference

DEFAULT_SITE: Final = "default"
"""The site that is always there: where the service itself carries out steps."""
DEFAULT_API_VERSION: Final = "2.0.0"
DEFAULT_EVERY_SECONDS: Final = 300.0


class Section(StrEnum):
    """The kinds of entries, each a map of the document by the ids of its entries."""

    SITES = "sites"
    VIM_LOCATIONS = "vimLocations"
    VIRTUAL_MACHINES = "virtualMachines"
    NETWORK_FUNCTIONS = "networkFunctions"
    NETWORK_SERVICES = "networkServices"
    DEVICES = "devices"
    SOURCES = "sources"


class Platform(StrEnum):
    """What runs on a router: its prompts, its paging, its way to say no."""

    IOS = "ios"
    IOSXR = "iosxr"
    NXOS = "nxos"
    JUNOS = "junos"
    SROS = "sros"
    VRP = "vrp"


class AlgorithmSet(StrEnum):
    """Which algorithms SSH may use with a device: those that are good today, or old ones beside them."""

    MODERN = "modern"
    LEGACY = "legacy"


class SourceKind(StrEnum):
    """Which interface of ETSI a source speaks: that of a VNFM, which knows network functions, or that of an NFVO, which knows network services."""

    SOL003 = "SOL003"
    SOL005 = "SOL005"


class FunctionType(StrEnum):
    """What a network function runs on; its contexts are called the same."""

    VNF = "VNF"
    CNF = "CNF"


@dataclass(frozen=True, slots=True)
class Algorithms:
    """Algorithms of SSH by their names, the preferred one first; an empty list leaves those that are good today."""

    key_exchange: tuple[str, ...] = ()
    host_keys: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in, and the credentials with which he does."""

    username: str | None = None
    password: Reference | None = None
    private_key: Reference | None = None
    passphrase: Reference | None = None
    enable_password: Reference | None = None


NO_LOGIN: Final = Login()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A vCenter or a vRO. `ca_certificates` in PEM; None leaves it to the system."""

    url: str
    login: Login = NO_LOGIN
    ca_certificates: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API of a Kubernetes cluster. `ca_certificates` and `client_certificate` in PEM."""

    url: str
    namespace: str | None = None
    token: Reference | None = None
    client_certificate: str | None = None
    client_key: Reference | None = None
    ca_certificates: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where steps are carried out."""

    id: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class VimLocation:
    """A VIM, with at least one of the ways to it."""

    id: str
    site: str = DEFAULT_SITE
    vcenter: Endpoint | None = None
    kubernetes: Cluster | None = None
    vro: Endpoint | None = None
    description: str = ""
    connection_ids: tuple[str, ...] = ()
    """What sources call it, beside its own id."""


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """A virtual machine, called by its vCenter as one of the three says; where none does, its managed object is its id."""

    id: str
    vim_location: str
    managed_object_id: str | None = None
    instance_uuid: str | None = None
    path: str | None = None
    login: Login = NO_LOGIN
    description: str = ""
    source: str | None = None
    """The source that brings it; None where it was written down."""


@dataclass(frozen=True, slots=True)
class NetworkFunction:
    """A VNF or a CNF, which runs at one VIM location."""

    id: str
    type: FunctionType
    vim_location: str
    name: str = ""
    virtual_machines: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    description: str = ""
    source: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkService:
    """An NS, and the network functions in it."""

    id: str
    name: str = ""
    network_functions: tuple[str, ...] = ()
    description: str = ""
    source: str | None = None
    is_whole: bool = True
    """Whether all of its network functions are among those."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long to wait for a device, in seconds; None leaves it to the step type."""

    connect_seconds: float | None = None
    silence_seconds: float | None = None
    """Without a byte from it."""
    attempt_seconds: float | None = None
    """In all."""


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What is known of a device. `addresses` are all the ways in which steps may call it; `jump_host` is the id of the device on the way."""

    id: str
    addresses: tuple[Device, ...]
    site: str = DEFAULT_SITE
    platform: Platform | None = None
    login: Login = NO_LOGIN
    host_keys: tuple[str, ...] = ()
    """OpenSSH lines, or fingerprints."""
    algorithms: AlgorithmSet | Algorithms = AlgorithmSet.MODERN
    jump_host: str | None = None
    time_limits: TimeLimits = field(default_factory=TimeLimits)
    sessions_at_once: int | None = None
    """None leaves it to the settings."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class OAuth:
    """How a token is got from a server of OAuth 2.0: by the credentials of a client (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: Reference
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A VNFM or an NFVO that is asked from time to time what there is. `url` is what its interface calls the root of its API."""

    id: str
    kind: SourceKind
    url: str
    api_version: str = DEFAULT_API_VERSION
    login: Login = NO_LOGIN
    oauth: OAuth | None = None
    ca_certificates: str | None = None
    """In PEM; None leaves it to the system."""
    filter: str | None = None
    """Which instances are wanted, in the words of SOL 013, 5.2."""
    every_seconds: float = DEFAULT_EVERY_SECONDS
    description: str = ""

    @property
    def place(self) -> str:
        """What is asked, and where: what was read elsewhere says nothing of it."""
        return f"{self.kind} {self.url} {self.filter or ''}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every entry by its id. `by_address` finds devices, by host and port, or by host alone where the entry names no port."""

    sites: Mapping[str, Site] = field(default_factory=dict)
    vim_locations: Mapping[str, VimLocation] = field(default_factory=dict)
    virtual_machines: Mapping[str, VirtualMachine] = field(default_factory=dict)
    network_functions: Mapping[str, NetworkFunction] = field(default_factory=dict)
    network_services: Mapping[str, NetworkService] = field(default_factory=dict)
    devices: Mapping[str, KnownDevice] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    by_address: Mapping[Device, KnownDevice] = field(default_factory=dict, repr=False)

    def device_at(self, host: str, port: int | None = None) -> KnownDevice | None:
        """Return the entry for an address as a step is given it: one with this very port before one for the host; None where there is none.

        Hosts are compared as they are written, in whatever spelling, and never by what a name resolves to.
        """
        where = Device(written_alike(host), port)
        return self.by_address.get(where) or self.by_address.get(Device(where.host))


NOTHING_KNOWN: Final = Inventory()
"""The inventory of a tenant that has none."""
