"""What a cluster knows: objects with versions, and every change of them. Used by the fake of the Kubernetes API."""

import asyncio
import copy
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Resource, namespace, name."""


@dataclass
class Change:
    """One change, with the object as it was then."""

    version: int
    key: Key
    kind: str
    said: Object


@dataclass
class Store:
    """Objects by resource, namespace and name. Whoever waits for news takes `news` before he looks."""

    objects: dict[Key, Object] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    version: int = 100
    remembered_from: int = 0
    """Watches from before this version are told 410."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, resource: str, namespace: str, said: Object) -> Object:
        """Take a new object and complete it as a server does."""
        made = copy.deepcopy(said)
        made["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
        return self.put("ADDED", (resource, namespace, made["metadata"]["name"]), made)

    def put(self, kind: str, key: Key, said: Object) -> Object:
        """Store an object in a new version."""
        self.version += 1
        said["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = said
        self._tell(kind, key, said)
        return said

    def remove(self, key: Key) -> None:
        """Remove an object, and what belongs to it."""
        said = self.objects.pop(key, None)
        if said is None:
            return
        self.version += 1
        said["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", key, said)
        for other, owned in list(self.objects.items()):
            if any(owner["uid"] == said["metadata"]["uid"] for owner in owned["metadata"].get("ownerReferences", ())):
                self.remove(other)

    def forget(self) -> None:
        """Remember nothing of what was, as a server does after a while."""
        self.remembered_from = self.version + 1
        self.changes.clear()

    def found(self, resource: str, namespace: str, selector: str = "", fields: str = "") -> list[Object]:
        """Return the objects that a selector of labels, or the fields of an event, find."""
        return [
            said
            for (of, place, _), said in sorted(self.objects.items())
            if (of, place) == (resource, namespace) and has_labels(said, selector) and _has_fields(said, fields)
        ]

    def since(self, version: int, resource: str, namespace: str, selector: str) -> Iterator[Change]:
        """Give the changes behind a version."""
        for change in list(self.changes):
            if change.version > version and change.key[:2] == (resource, namespace) and has_labels(change.said, selector):
                yield change

    def _tell(self, kind: str, key: Key, said: Object) -> None:
        self.changes.append(Change(self.version, key, kind, copy.deepcopy(said)))
        news, self.news = self.news, asyncio.Event()
        news.set()


def has_labels(said: Mapping[str, Any], selector: str) -> bool:
    """Return whether an object has every label that a selector of equalities names."""
    labels = said["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, _, value in (each.partition("=") for each in selector.split(",") if each))


def _has_fields(said: Mapping[str, Any], selector: str) -> bool:
    for path, _, value in (each.partition("=") for each in selector.split(",") if each):
        part: Any = said
        for name in path.split("."):
            part = part.get(name, {})
        if part != value:
            return False
    return True


def now() -> str:
    """Return the time of day as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
