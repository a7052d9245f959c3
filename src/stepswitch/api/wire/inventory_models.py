"""The structures of the inventory, for the description of the API and the reference. Read by `inventory_operations`; the domain checks the same."""

from typing import Annotated, Literal

from pydantic import Field

from stepswitch.api.wire.models import CredentialReference, Time
from stepswitch.api.wire.structures import Structure, maybe, must
from stepswitch.domain.inventory import DEFAULT_API_VERSION, DEFAULT_EVERY_SECONDS, FunctionType, Platform, SourceKind
from stepswitch.domain.inventory_document import LEAST_EVERY_SECONDS, MOST_EVERY_SECONDS, MOST_SESSIONS
from stepswitch.domain.inventory_parts import LEAST_SECONDS
from stepswitch.domain.policies import MAX_SECONDS
from stepswitch.engine.inventory_sources import SourceState

_PEM = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"
_TEXT = {"min_length": 1, "max_length": 256}
_NAME = Annotated[str, Field(min_length=1, max_length=256)]
_FOR_PEOPLE = "For people."
_BY_SOURCE = "The source that brings it. In answers only: what a source brings is not sent."


class Login(Structure):
    """Who logs in. Passwords are credentials by their names, and never stand here."""

    username: str = maybe("The name of the user.", examples=["stepswitch"], **_TEXT)
    password: CredentialReference = maybe("His password.")


class LoginToDevice(Login):
    """Who logs in to a device, and with what."""

    private_key: CredentialReference = maybe("His private key.")
    passphrase: CredentialReference = maybe("What the private key is protected with.")
    enable_password: CredentialReference = maybe("The password for the enable mode.")


class Endpoint(Structure):
    """A vCenter or a vRO."""

    url: str = must("Where it is, with `https://`; `http://` on this machine only.", examples=["https://vcenter.example.net"], **_TEXT)
    login: Login = maybe("Who logs in there.")
    ca_certificates: str = maybe(
        "Certificates in PEM that its own is checked against; those of the system unless given.", examples=[_PEM], min_length=1
    )


class Cluster(Structure):
    """The API of a Kubernetes cluster."""

    url: str = must(
        "Where its API is, with `https://`; `http://` on this machine only.", examples=["https://k8s.example.net:6443"], **_TEXT
    )
    namespace: str = maybe("The namespace of what is started there, unless a step says one.", examples=["workflows"], **_TEXT)
    token: CredentialReference = maybe("The token to come with.")
    client_certificate: str = maybe("The certificate to come with, in PEM; its key goes with it.", examples=[_PEM], min_length=1)
    client_key: CredentialReference = maybe("The key of the client certificate.")
    ca_certificates: str = maybe(
        "Certificates in PEM that its own is checked against; those of the system unless given.", examples=[_PEM], min_length=1
    )


class Site(Structure):
    """Where steps are carried out. The site `default` is always there."""

    description: str = maybe(_FOR_PEOPLE, examples=["Paris, hall 2"])


class VimLocation(Structure):
    """A VIM, with at least one way to it."""

    description: str = maybe(_FOR_PEOPLE)
    site: str = maybe("The site at which steps for it are carried out; `default` unless said.", examples=["paris"], **_TEXT)
    vcenter: Endpoint = maybe("Its vCenter.")
    kubernetes: Cluster = maybe("Its Kubernetes cluster.")
    vro: Endpoint = maybe("Its vRO.")
    vim_connection_ids: list[_NAME] = maybe(
        "What sources call it, beside its own id: the ids of their connections to it, or of the VIM. No two VIM locations have the same.",
        examples=[["vim-7"]],
    )


class VirtualMachine(Structure):
    """A virtual machine. At most one of the three names of vCenter is given; without one, the entry's own id is the managed object."""

    description: str = maybe(_FOR_PEOPLE)
    vim_location: str = must("Where it runs: the id of a VIM location.", examples=["paris-vc"], **_TEXT)
    managed_object_id: str = maybe("What vCenter calls it.", examples=["vm-1042"], **_TEXT)
    instance_uuid: str = maybe("Its UUID in vCenter.", examples=["50123456-789a-bcde-f012-3456789abcde"], **_TEXT)
    path: str = maybe("Its path in vCenter's own inventory.", examples=["/Paris/vm/core/smf-1"], **_TEXT)
    login: Login = maybe("Who logs in inside of it.")
    source: str = maybe(_BY_SOURCE, examples=["vnfm-1"])


class NetworkFunction(Structure):
    """A VNF or a CNF."""

    description: str = maybe(_FOR_PEOPLE)
    name: str = maybe("What people call it.", examples=["SMF Paris 1"])
    type: FunctionType = must("Which contexts are its own.")
    vim_location: str = must("Where it runs: executions with it as their context are given this one.", examples=["paris-vc"], **_TEXT)
    virtual_machines: list[_NAME] = maybe("Its virtual machines, by their ids.", examples=[["smf-1"]])
    devices: list[_NAME] = maybe("Its devices, by their ids.", examples=[["smf-1-oam"]])
    source: str = maybe(_BY_SOURCE, examples=["vnfm-1"])


class NetworkService(Structure):
    """An NS."""

    description: str = maybe(_FOR_PEOPLE)
    name: str = maybe("What people call it.", examples=["5G core Paris"])
    network_functions: list[_NAME] = maybe("Its network functions, by their ids.", examples=[["5f0c3b1e"]])
    source: str = maybe(_BY_SOURCE, examples=["nfvo-1"])


class AlgorithmLists(Structure):
    """Algorithms of SSH by their names, the preferred one first. At least one list is given; one that is not leaves those of `modern`."""

    key_exchange: list[_NAME] = maybe("For the exchange of keys.", examples=[["diffie-hellman-group14-sha1"]])
    host_keys: list[_NAME] = maybe("For the device's own key.", examples=[["ssh-rsa"]])
    ciphers: list[_NAME] = maybe("For what is sent.", examples=[["aes128-cbc"]])
    macs: list[_NAME] = maybe("For its integrity.", examples=[["hmac-sha1"]])


class TimeLimits(Structure):
    """How long to wait for a device, in seconds. What is left out is as the step type and the settings say; a step's own policy counts before."""

    connect_seconds: float = maybe("Until it has answered.", ge=LEAST_SECONDS, le=MAX_SECONDS)
    silence_seconds: float = maybe("Without a byte from it.", ge=LEAST_SECONDS, le=MAX_SECONDS)
    attempt_seconds: float = maybe("For one attempt of a step, in all.", ge=LEAST_SECONDS, le=MAX_SECONDS)


class Device(Structure):
    """What SSH, SCP or NETCONF is spoken with."""

    description: str = maybe(_FOR_PEOPLE)
    addresses: list[_NAME] = must(
        "Every name and address by which steps call it, each with a port or without. No two devices have the same.",
        examples=[["192.0.2.7", "core-7.example.net", "[2001:db8::7]:830"]], min_length=1,
    )  # fmt: skip
    site: str = maybe("The site at which steps for it are carried out; `default` unless said.", examples=["paris"], **_TEXT)
    platform: Platform = maybe("What runs on it.")
    login: LoginToDevice = maybe("Who logs in, where a step says nothing.")
    host_keys: list[str] = maybe(
        "By which keys it is known: OpenSSH lines, or fingerprints.", examples=[["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]]
    )
    algorithms: Literal["modern", "legacy"] | AlgorithmLists = maybe(
        "Which algorithms SSH may use: those that are good today, old ones too, or those that are listed; `modern` unless said."
    )
    jump_host: str = maybe("The device through which it is reached, by its id.", examples=["bastion"], **_TEXT)
    time_limits: TimeLimits = maybe("How long to wait for it.")
    sessions_at_once: int = maybe("Sessions at once; as the settings say unless given.", ge=1, le=MOST_SESSIONS)


class LoginToSource(Structure):
    """Who asks a source (Basic)."""

    username: str = must("The name of the user.", examples=["stepswitch"], **_TEXT)
    password: CredentialReference = must("His password.")


class OAuth(Structure):
    """How a token is got that a source is asked with: by the credentials of a client (OAuth 2.0)."""

    token_url: str = must("Where tokens are given.", examples=["https://sso.example.net/realms/nfv/token"], **_TEXT)
    client_id: str = must("What the client is called there.", examples=["stepswitch"], **_TEXT)
    client_secret: CredentialReference = must("Its secret.")
    scope: str = maybe("What the token is to be good for.", examples=["vnflcm:v2:readonly"], **_TEXT)


class Source(Structure):
    """A VNFM or an NFVO that is asked from time to time what there is."""

    description: str = maybe(_FOR_PEOPLE)
    kind: SourceKind = must(
        "Its interface: `SOL003`, that of a VNFM, gives network functions; `SOL005`, that of an NFVO, network services."
    )
    url: str = must("The root of its API, before `/vnflcm` or `/nslcm`.", examples=["https://vnfm.example.net"], **_TEXT)
    api_version: str = maybe(
        f"The version of the interface, of which the first number stands in its paths; `{DEFAULT_API_VERSION}` unless said.",
        examples=["1.3.0"], pattern=r"^[12]\.[0-9]{1,3}\.[0-9]{1,3}$",
    )  # fmt: skip
    login: LoginToSource = maybe("Who asks, where that is a user. Not together with `oauth`.")
    oauth: OAuth = maybe("Who asks, where that is a client with a token.")
    ca_certificates: str = maybe(
        "Certificates in PEM that its own, and that of the server of tokens, is checked against; those of the system unless given.",
        examples=[_PEM], min_length=1,
    )  # fmt: skip
    filter: str = maybe("Which instances are wanted, as an attribute filter.", examples=["(eq,vnfProductName,SMF)"], **_TEXT)
    every_seconds: float = maybe(
        f"How often it is read, in seconds; {DEFAULT_EVERY_SECONDS:g} unless said.", ge=LEAST_EVERY_SECONDS, le=MOST_EVERY_SECONDS
    )


class SourceFailure(Structure):
    """Why a source could not be read."""

    code: str = must("A code of [the errors](errors.md).", examples=["LOGIN_REFUSED"])
    message: str = must("The same as a sentence.", examples=["it does not let us in: 401"])


class SourceStanding(Structure):
    """How a source stands, and how much it brings."""

    source: str = must("Its id.", examples=["vnfm-1"])
    state: SourceState = must(
        "`CURRENT`: the last reading came to its end. `STALE`: it cannot be read, and what it brought is as it was. `UNREAD`: it was never read to its end."
    )
    is_being_read: bool = must("Whether it is being read now.")
    read_at: Time = maybe("When it was read to its end last.")
    asked_at: Time = maybe("When the last reading began, whatever came of it.")
    failing_since: Time = maybe("Since when it cannot be read.")
    error: SourceFailure = maybe("Why it cannot be read.")
    network_functions: int = must("How many network functions it brings.", examples=[12])
    network_services: int = must("How many network services it brings.", examples=[0])
    virtual_machines: int = must("How many virtual machines it brings.", examples=[40])
    problems: list[str] = must("What of it cannot be used, or counts for nothing because it was written down, too.")


class Inventory(Structure):
    """What there is, where it is, and how it is reached; each map by the ids of its entries. In an answer every map is there."""

    sites: dict[str, Site] = maybe("The sites.")
    vim_locations: dict[str, VimLocation] = maybe("The VIM locations.")
    virtual_machines: dict[str, VirtualMachine] = maybe("The virtual machines.")
    network_functions: dict[str, NetworkFunction] = maybe("The network functions.")
    network_services: dict[str, NetworkService] = maybe("The network services.")
    devices: dict[str, Device] = maybe("The devices.")
    sources: dict[str, Source] = maybe("The sources.")
