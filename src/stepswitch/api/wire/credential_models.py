"""The structures of credentials, for the description of the API. Read by `credential_operations`."""

from typing import Annotated, Literal

from pydantic import Field

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, maybe, must

_ROLES = ["Operations"]
_WORKFLOWS = ["core *"]
_DEVICES = ["192.0.2.0/24:22", "*.core.example.net"]


class StoredSource(Structure):
    """A value that the service keeps, encrypted."""

    kind: Literal["stored"] = must("The value is given here.")
    value: str = must("The value; never shown again.", examples=["…"], min_length=4, json_schema_extra={"format": "password"})


class ShownStoredSource(Structure):
    """A value that the service keeps; it is not shown."""

    kind: Literal["stored"] = must("The value was given when the credential was made, or changed.")


class VaultSource(Structure):
    """A key in HashiCorp Vault's KV engine, version 2; address and token are those of the settings."""

    kind: Literal["vault"] = must("The value is in Vault.")
    mount: str = must("Path of the engine.", examples=["secret"])
    path: str = must("Path of the secret in it.", examples=["core/routers"])
    key: str = must("The key in the secret.", examples=["password"])


class EnvironmentSource(Structure):
    """A variable of the service's environment."""

    kind: Literal["environment"] = must("The value is in a variable.")
    variable: str = must("Its name, which begins as the setting `environment_credentials` says.", examples=["STEPSWITCH_CREDENTIAL_CORE"])


class FileSource(Structure):
    """A file on the service's machine."""

    kind: Literal["file"] = must("The value is in a file.")
    path: str = must("Its path under the folder of the setting `file_credentials`.", examples=["core/password"])


class KubernetesSource(Structure):
    """A key of a secret of Kubernetes."""

    kind: Literal["kubernetes"] = must("The value is in a secret of Kubernetes.")
    namespace: str = must("The namespace.", examples=["devices"])
    secret: str = must("The name of the secret.", examples=["core-routers"])
    key: str = must("The key in it.", examples=["password"])


_Elsewhere = VaultSource | EnvironmentSource | FileSource | KubernetesSource
Source = Annotated[StoredSource | _Elsewhere, Field(discriminator="kind")]
ShownSource = Annotated[ShownStoredSource | _Elsewhere, Field(discriminator="kind")]


class CredentialLinks(Structure):
    """Where to go from a credential."""

    self: str = must("This credential.")
    check: str = must("Whether it can be opened.")


class Credential(Structure):
    """A secret by its name, and who may use it where; of the value nothing is ever shown."""

    name: str = must("The name that workflows refer to it by.", examples=["core routers"])
    description: str = must("For people.")
    source: ShownSource = must("Where the value comes from.")
    roles: list[str] = must("Whose use it is: names of roles, or `*`.", examples=[_ROLES])
    workflows: list[str] = must(
        "In which workflows: ids, names, or beginnings of names with `*` behind them; or `*`.", examples=[_WORKFLOWS]
    )
    devices: list[str] = must(
        "For which devices: host names, addresses, networks, each with a port or without; or `*`.", examples=[_DEVICES]
    )
    without_device: bool = must("Whether steps that act on no device, scripts among them, are given it too.")
    created_at: Time = must("When it was made.")
    created_by: str = must("Who made it.", examples=["admin"])
    changed_at: Time = must("When it was changed last.")
    changed_by: str = must("Who changed it last.", examples=["admin"])
    links: CredentialLinks = must("Where to go from here.")


class CredentialChange(Structure):
    """What is to become of a credential; what is left out stays as it is."""

    description: str = maybe("For people.")
    source: Source = maybe("Where the value comes from, as a whole.")
    roles: list[str] = maybe("Whose use it is.", examples=[_ROLES], min_length=1)
    workflows: list[str] = maybe("In which workflows.", examples=[_WORKFLOWS], min_length=1)
    devices: list[str] = maybe("For which devices. In a name a `*` stands for any characters but a dot.", examples=[_DEVICES], min_length=1)
    without_device: bool = maybe("Whether steps that act on no device, scripts among them, are given it too; false unless said.")


class NewCredential(CredentialChange):
    """A credential to make."""

    name: str = must("The name that workflows refer to it by.", examples=["core routers"])
    source: Source = must("Where the value comes from.")
    roles: list[str] = must("Whose use it is: names of roles, or `*`.", examples=[_ROLES], min_length=1)
    workflows: list[str] = must(
        "In which workflows: ids, names, or beginnings of names with `*` behind them; or `*`.", examples=[_WORKFLOWS], min_length=1
    )
    devices: list[str] = must(
        "For which devices: host names, addresses, networks, each with a port or without; or `*`.", examples=[_DEVICES], min_length=1
    )


class CredentialFinding(Structure):
    """Whether a credential can be opened."""

    can_be_opened: bool = must("Whether a step that may use it would get its value.")
    checked_at: Time = must("When that was tried.")
    problem: str = maybe("Why it cannot be opened.")
