"""A credential as a value: where it comes from, and who may use it where. Made by `credentials`, stored by `storage`, opened by `secrets`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

ANY: Final = "*"
"""In a list of roles, workflows or devices: all of them. Behind the beginning of a workflow's name: whatever follows."""


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value that was given to the service, which keeps it encrypted and never shows it."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VaultValue:
    """A key of a secret in HashiCorp Vault's KV engine, version 2."""

    mount: str
    path: str
    key: str


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """A variable of the service's own environment."""

    variable: str


@dataclass(frozen=True, slots=True)
class FileValue:
    """A file of the service's machine, by its path under the folder that the settings name."""

    path: str


@dataclass(frozen=True, slots=True)
class KubernetesValue:
    """A key of a secret of Kubernetes."""

    namespace: str
    secret: str
    key: str


Source = StoredValue | VaultValue | EnvironmentValue | FileValue | KubernetesValue
KINDS: Final[Mapping[str, type[Source]]] = MappingProxyType(
    {
        "stored": StoredValue,
        "vault": VaultValue,
        "environment": EnvironmentValue,
        "file": FileValue,
        "kubernetes": KubernetesValue,
    }
)
"""What a source is called, in requests, in answers and on the disk."""


def kind_of(source: Source) -> str:
    """Return what the kind of a source is called."""
    return next(kind for kind, of_kind in KINDS.items() if type(source) is of_kind)


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret by its name. Each of `roles`, `workflows` and `devices` narrows its use; none of them is empty.

    `without_device`: steps that act on no device, scripts among them, are given it too. Times in milliseconds.
    """

    tenant: str
    name: str
    source: Source
    roles: tuple[str, ...]
    workflows: tuple[str, ...]
    devices: tuple[str, ...]
    without_device: bool
    description: str
    created_at: int
    created_by: str
    changed_at: int
    changed_by: str
    revision: int = 1

    @property
    def tag(self) -> str:
        """What changes whenever it does, also where it was removed and another one has its name."""
        return f"{self.created_at:x}-{self.revision}"

    def covers_roles(self, roles: Collection[str]) -> bool:
        """Return whether somebody with these roles may use it."""
        return ANY in self.roles or not set(roles).isdisjoint(self.roles)

    def covers_workflow(self, workflow_id: str, name: str) -> bool:
        """Return whether it may be used in a workflow, which is meant by its id, its name or the beginning of that."""
        return any(name.startswith(each[:-1]) if each.endswith(ANY) else each in (workflow_id, name) for each in self.workflows)
