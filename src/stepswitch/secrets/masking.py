"""Takes secrets out of texts: as they are, and as software on the way escapes them. Called through the port `Secrets`, and by who reads a stream.

Every occurrence of every form is found, overlapping ones too, in time linear in the text, whatever the secrets look like.
"""

import base64
import html
import json
import re
import shlex
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "********"
SHORTEST: Final = 4
"""A secret of fewer characters is not masked by value: it would blank out everything."""
LINE_SHORTEST: Final = 8
"""A line of a secret of several lines (a private key) counts as a secret of its own from this length on."""
KEPT: Final = 512
KEPT_CHARACTERS: Final = 16_384
"""A masker for secrets longer than this together is made anew each time instead of being kept."""
_PROBE: Final = 64
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_PADDING: Final = 2
_SHELL_SPECIAL: Final = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_HTML_SAFE: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}


@dataclass(frozen=True, slots=True)
class Form:
    """One spelling of a secret. `open_end`: it is base64 whose next character also holds bits of the secret."""

    text: str
    open_end: bool = False


class Masking:
    """Makes maskers, and keeps those in use: the same execution is asked for again and again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], Callable[[str], str]] = OrderedDict()

    def masker(self, secrets: Sequence[str]) -> Callable[[str], str]:
        """Return a function that replaces each of `secrets` and its escaped forms in a text by `********`."""
        key = tuple(secrets)
        masker = self._kept.get(key)
        if masker is None:
            masker = TextMasker(key).mask
            if sum(map(len, key)) > KEPT_CHARACTERS:
                return masker
            self._kept[key] = masker
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return masker


class TextMasker:
    """Masks whole texts."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._forms = forms(secrets)

    def mask(self, text: str) -> str:
        """Return `text` with every occurrence of a form replaced; what overlaps is replaced together."""
        found = _spans(text, self._forms)
        if not found:
            return text
        pieces: list[str] = []
        place = 0
        for start, end in found:
            pieces += (text[place:start], MASK)
            place = end
        return "".join([*pieces, text[place:]])


class ChunkMasker:
    """Masks a stream that arrives in pieces: a secret that stands across two of them is masked all the same.

    It holds back only what may be the beginning of a secret, so that output is seen as it arrives. All that `feed` and
    `flush` return, joined, is what `TextMasker` makes of the whole.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._forms = forms(secrets)
        self._held = ""
        self._covered = 0
        """How many characters of what is held stand behind a mask that was given out."""

    def feed(self, text: str) -> str:
        """Return what can be given out now that `text` has arrived, masked."""
        self._held += text
        return self._give(min((_undecided(self._held, form) for form in self._forms), default=len(self._held)))

    def flush(self) -> str:
        """Return what is still held, masked; the stream has ended, or nothing came for a while."""
        return self._give(len(self._held))

    def _give(self, until: int) -> str:
        """Give out everything before `until`, where no occurrence begins of which the end has not arrived."""
        if until == 0:
            return ""
        spans = _spans(self._held, self._forms)
        if self._covered:
            spans = _merged([(0, self._covered), *spans])
        pieces: list[str] = []
        place = covered = 0
        for start, end in spans:
            if start >= until:
                break
            pieces.append(self._held[place:start])
            if start > 0 or not self._covered:
                pieces.append(MASK)
            place, covered = min(end, until), max(0, end - until)
        pieces.append(self._held[place:until])
        self._held, self._covered = self._held[until:], covered
        return "".join(pieces)


_SCRIPT_SAFE: Final = ("!~*'()", ";,/?:@&=+$!~*'()#")
"""What JavaScript's encodeURIComponent and encodeURI leave as it is, beside letters, digits, `-`, `_` and `.` (ECMA-262, 19.2.6)."""


def forms(secrets: Sequence[str]) -> tuple[Form, ...]:
    """Return every spelling of `secrets` that is looked for, the longest first."""
    found: dict[str, bool] = {}
    for secret in secrets:
        for part in (secret, secret.strip(), *_lines(secret)):
            if len(part) >= SHORTEST:
                for form in _spellings(part):
                    found[form.text] = found.get(form.text, False) or form.open_end
    return tuple(Form(text, open_end) for text, open_end in sorted(found.items(), key=lambda item: -len(item[0])))


def _lines(secret: str) -> list[str]:
    lines = [line.strip() for line in secret.splitlines()]
    return [line for line in lines if len(line) >= LINE_SHORTEST] if len(lines) > 1 else []


def _spellings(secret: str) -> Iterator[Form]:
    data = secret.encode("utf-8", "surrogatepass")
    texts = {secret, data.hex(), data.hex().upper(), *_json(secret), *_url(data), *_shell(secret), *_markup(secret)}
    texts |= {twice for text in _json(secret) for twice in _json(text)}
    yield from map(Form, texts)
    yield from _base64(data)


def _json(text: str) -> set[str]:
    """Return `text` as encoders of JSON write it between the quotes: they differ in `/`, in what is not ASCII, and in what HTML minds."""
    plain = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    careful = {"".join(_HTML_SAFE.get(character, character) for character in spelled) for spelled in plain}
    return plain | careful | {spelled.replace("/", "\\/") for spelled in plain}


def _url(data: bytes) -> set[str]:
    quoted = {quote(data, safe=""), quote(data), quote_plus(data), *(quote(data, safe=safe) for safe in _SCRIPT_SAFE)}
    return quoted | {_PERCENT.sub(lambda found: found.group().lower(), text) for text in quoted}


def _shell(secret: str) -> set[str]:
    return {
        shlex.quote(secret).strip("'"),
        secret.replace("'", "'\\''"),
        secret.replace("'", "'\"'\"'"),
        _SHELL_SPECIAL.sub(r"\\\1", secret),
    }


def _markup(secret: str) -> set[str]:
    plain = html.escape(secret, quote=False)
    quotes = (("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&quot;", "&apos;"), ("&#34;", "&#39;"))
    return {plain, *(plain.replace('"', double).replace("'", single) for double, single in quotes)}


def _base64(data: bytes) -> Iterator[Form]:
    """Return the base64 of `data`, and what of it does not depend on its neighbours where it stands inside of a longer encoded text."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        yield Form(whole)
        for offset, first in ((0, 0), (1, 2), (2, 3)):
            bits = 8 * (offset + len(data))
            core = encode(b"\0" * offset + data).decode()[first : bits // 6]
            if len(core) >= SHORTEST:
                yield Form(core, open_end=bits % 6 != 0)


def _spans(text: str, wanted: tuple[Form, ...]) -> list[tuple[int, int]]:
    """Return where the forms stand in `text`, in order, what overlaps as one."""
    found = [span for form in wanted for span in _occurrences(text, form)]
    return _merged(sorted(found)) if len(found) > 1 else found


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _occurrences(text: str, form: Form) -> Iterator[tuple[int, int]]:
    """Return where `form` stands in `text`; a chain of overlapping occurrences is one span.

    Two occurrences that overlap with a distance of `d` make a text of period `d`, so the chain is followed in steps of `d`:
    without that, a secret of a million equal letters would take forever.
    """
    wanted, size = form.text, len(form.text)
    start = text.find(wanted)
    while start >= 0:
        first, end = start, start + size
        while (following := text.find(wanted, start + 1, end + size - 1)) >= 0:
            period = wanted[size - (following - start) :]
            start, end = following, following + size
            while text.startswith(period, end):
                start, end = start + len(period), end + len(period)
        yield first, (_closed(text, end) if form.open_end else end)
        start = text.find(wanted, end)


def _closed(text: str, end: int) -> int:
    """Return where a base64 text ends whose last character is shared with what follows."""
    if text[end : end + 1] in _BASE64:
        end += 1
    for _ in range(_PADDING):
        end += text[end : end + 1] == "="
    return end


def _undecided(text: str, form: Form) -> int:
    """Return the first place in `text` where `form` may begin while its end has not arrived."""
    beyond = 1 + _PADDING if form.open_end else 0
    window = max(0, len(text) - len(form.text) - beyond + 1)
    probe = form.text[:_PROBE]
    if beyond or len(probe) < len(form.text):
        begun = text.find(probe, window)
        if begun >= 0:
            return begun
    for place in range(max(window, len(text) - len(probe) + 1), len(text)):
        if probe.startswith(text[place:]):
            return place
    return len(text)
