"""Secrets that a test plants, and the search for them in whatever the service wrote: made here, so that no mistake of the masks is repeated."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 8
"""What is shorter may stand anywhere by chance."""


def spellings(secret: str) -> dict[str, bytes]:
    """Return every form in which a secret is looked for, by what it is called."""
    data = secret.encode()
    found: dict[str, bytes] = {
        "plain": data,
        "as JSON": json.dumps(secret)[1:-1].encode(),
        "as JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "as JSON in JSON": json.dumps(json.dumps(secret))[3:-3].encode(),
        "in a URL": quote(secret, safe="").encode(),
        "in a form": quote_plus(secret).encode(),
        "in hex": data.hex().encode(),
        "in upper hex": data.hex().upper().encode(),
        "in UTF-16": secret.encode("utf-16-le"),
        "in big UTF-16": secret.encode("utf-16-be"),
        "half": secret[len(secret) // 2 :].encode(),
        "other half": secret[: len(secret) // 2].encode(),
    }
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        for name, encode in (("base64", base64.b64encode), ("base64 for URLs", base64.urlsafe_b64encode)):
            whole = encode(b"\0" * offset + data)
            found[f"in {name} at {offset}"] = whole[first : 8 * (offset + len(data)) // 6]
    return {name: form for name, form in found.items() if len(form) >= SHORTEST}


@dataclass
class Hunt:
    """`secrets` by what they were planted as. `allowed` are places in which one may stand, by a pattern of its name."""

    secrets: Mapping[str, str]
    looked_at: int = 0
    places: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        forms = [(text, f"{as_what}, {form}") for as_what, secret in self.secrets.items() for form, text in spellings(secret).items()]
        self._forms = dict(reversed(forms))

    def search(self, place: str, content: bytes) -> None:
        """Note every secret in `content`, also where that is packed."""
        self.looked_at += len(content)
        self.places.add(place)
        for text, called in self._forms.items():
            if (start := content.find(text)) >= 0:
                around = content[max(0, start - 60) : start + len(text) + 20]
                self.found.append(f"{place}: the secret {called}: {around[:500]!r}")
        if content[:2] == b"\x1f\x8b":
            self.search(f"{place}, unpacked", gzip.decompress(content))

    def search_files(self, *directories: Path) -> None:
        """Note every secret in the names and bytes of the files below."""
        for directory in directories:
            for path in sorted(directory.rglob("*")):
                self.search(f"the name of {path}", str(path).encode("utf-8", "surrogateescape"))
                if path.is_file():
                    self.search(str(path), path.read_bytes())

    def search_all(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Note every secret in named contents."""
        for place, content in contents:
            self.search(place, content)
