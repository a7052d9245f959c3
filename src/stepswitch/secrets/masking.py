"""Takes secrets out of texts: as they are, and as software on the way escapes them. Called through the port `Secrets`, and by who reads a stream.

Every occurrence of every form is found, overlapping ones too, in time linear in the text, whatever the secrets look like.
"""

import base64
import html
import json
import re
import shlex
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import quote, quote_plus

from stepswitch.domain.secrecy import CUT, MASK, SHORTEST_SECRET

LINE_SHORTEST: Final = 8
"""A line of a secret of several lines (a private key) counts as a secret of its own from this length on."""
KEPT: Final = 512
KEPT_CHARACTERS: Final = 16_384
"""A masker for secrets longer than this together is made anew each time instead of being kept."""
PART_SHORTEST: Final = 2
"""What stands beside a cut and may be a part of a secret is masked from this length on: of two halves no more than one character is left."""
_CUTS: Final = 16
"""Cuts of one text that are looked at: whoever cuts leaves one at the beginning, one at the end, and a few between."""
_TRIES: Final = 1_000
_CUT_IN_BYTES: Final = CUT.encode().decode("latin-1")
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_PADDING: Final = 2
_SHELL_SPECIAL: Final = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_PERCENT_OR_WIDE: Final = re.compile("%[0-9A-Fa-f]{2}|[^\x00-\x7f]")
_SCRIPT_SAFE: Final = ("!~*'()", ";,/?:@&=+$!~*'()#")
"""What JavaScript's encodeURIComponent and encodeURI leave as it is, beside letters, digits, `-`, `_` and `.` (ECMA-262, 19.2.6)."""
_ESCAPE_SAFE: Final = "@*_+-./"
"""What its escape leaves as it is (ECMA-262, B.2.1.1)."""
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
        self._forms_in_bytes = tuple(Form(_in_bytes(form.text), form.open_end) for form in self._forms)

    def mask(self, text: str) -> str:
        """Return `text` with every occurrence of a form replaced; what overlaps is replaced together."""
        found = _spans(text, self._forms, CUT)
        if "%" in text and _PERCENT_OR_WIDE.search(text):
            meant, places = _unescaped(text)
            found += [(places[start], places[end]) for start, end in _spans(meant, self._forms_in_bytes, _CUT_IN_BYTES)]
            found = _merged(sorted(found))
        if not found:
            return text
        pieces: list[str] = []
        place = 0
        for start, end in found:
            pieces += (text[place:start], MASK)
            place = end
        return "".join([*pieces, text[place:]])


def forms(secrets: Sequence[str]) -> tuple[Form, ...]:
    """Return every spelling of `secrets` that is looked for, the longest first."""
    found: dict[str, bool] = {}
    for secret in secrets:
        for part in (secret, secret.strip(), *_lines(secret), *_texts(secret)):
            if len(part) >= SHORTEST_SECRET:
                for form in _spellings(part):
                    found[form.text] = found.get(form.text, False) or form.open_end
    return tuple(Form(text, open_end) for text, open_end in sorted(found.items(), key=lambda item: -len(item[0])))


def _lines(secret: str) -> list[str]:
    lines = [line.strip() for line in secret.splitlines()]
    return [line for line in lines if len(line) >= LINE_SHORTEST] if len(lines) > 1 else []


def _texts(secret: str) -> list[str]:
    """Return the texts in a secret that is a JSON object: the replies of the input `answers`, each of which may be a password."""
    if not secret.lstrip().startswith("{"):
        return []
    try:
        values = json.loads(secret).values()
    except (ValueError, RecursionError):
        return []
    return [value for value in values if isinstance(value, str)]


def _spellings(secret: str) -> Iterator[Form]:
    data = secret.encode("utf-8", "surrogatepass")
    texts = {secret, data.hex(), data.hex().upper(), *_json(secret), *_url(data), *_shell(secret), *_markup(secret)}
    texts |= {twice for text in _json(secret) for twice in _json(text)}
    yield from map(Form, texts)
    yield from _base64(data)
    yield from _narrow(secret)


def _narrow(secret: str) -> Iterator[Form]:
    """Return what is made of the bytes of Latin-1, as JavaScript's btoa and escape do, where they are others than those of UTF-8."""
    try:
        data = secret.encode("latin-1")
    except UnicodeEncodeError:
        return
    if not secret.isascii():
        escaped = quote(data, safe=_ESCAPE_SAFE)
        yield from map(Form, {data.hex(), data.hex().upper(), escaped, quote(data, safe="")})
        yield from _base64(data)


def _json(text: str) -> set[str]:
    """Return `text` as encoders of JSON write it between the quotes: they differ in `/`, in what is not ASCII, and in what HTML minds."""
    plain = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    careful = {"".join(_HTML_SAFE.get(character, character) for character in spelled) for spelled in plain}
    return plain | careful | {spelled.replace("/", "\\/") for spelled in plain}


def _url(data: bytes) -> set[str]:
    quoted = {
        data.decode("utf-8", "surrogatepass").replace(" ", "+"),
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        *(quote(data, safe=safe) for safe in _SCRIPT_SAFE),
    }
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
            if len(core) >= SHORTEST_SECRET:
                yield Form(core, open_end=bits % 6 != 0)


def _in_bytes(text: str) -> str:
    """Return `text` with a character for every byte that it has in UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def _unescaped(text: str) -> tuple[str, "array[int]"]:
    """Return what is meant by `text`, whose percent escapes may be of any kind, byte by byte, and where each byte stands in `text`."""
    parts: list[str] = []
    places = array("Q")
    done = 0
    for found in _PERCENT_OR_WIDE.finditer(text):
        start, written = found.start(), found.group()
        meant = chr(int(written[1:], 16)) if len(written) > 1 else _in_bytes(written)
        parts += (text[done:start], meant)
        places.extend(range(done, start))
        places.extend([start] * len(meant))
        done = found.end()
    places.extend(range(done, len(text) + 1))
    return "".join([*parts, text[done:]]), places


def _spans(text: str, wanted: tuple[Form, ...], cut: str) -> list[tuple[int, int]]:
    """Return where the forms stand in `text`, and parts of them beside a `cut`, in order, what overlaps as one."""
    found = [span for form in wanted if form.text in text for span in _occurrences(text, form)]
    if cut in text:
        places = [place.start() for place in islice(re.finditer(re.escape(cut), text), _CUTS)]
        if (last := text.rfind(cut)) != places[-1]:
            places.append(last)
        found += [span for form in wanted for span in _parts(text, form, [(place, place + len(cut)) for place in places])]
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


def _parts(text: str, form: Form, cuts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return where a part of `form` stands at once before or behind one of `cuts`, or fills what is between two."""
    for place, (start, end) in enumerate(cuts):
        begun = _begun(text, form.text, start)
        if begun < start:
            yield begun, start
        ended = _ended(text, form.text, end)
        if ended > end:
            yield end, (_closed(text, ended) if form.open_end else ended)
        following = cuts[place + 1][0] if place + 1 < len(cuts) else end
        if following - end >= PART_SHORTEST and text[end:following] in form.text:
            yield end, following


def _begun(text: str, wanted: str, end: int) -> int:
    """Return where the longest part of `text` begins that reaches to `end` and that `wanted` begins with; `end` where there is none.

    A place where that takes too long to find out counts as one.
    """
    first, tries = wanted[:PART_SHORTEST], 0
    start = text.find(first, max(0, end - len(wanted) + 1), end)
    while start >= 0 and tries < _TRIES and not wanted.startswith(text[start:end]):
        start = text.find(first, start + 1, end)
        tries += 1
    return start if start >= 0 else end


def _ended(text: str, wanted: str, start: int) -> int:
    """Return where the longest part of `text` ends that stands at `start` and that `wanted` ends with; see `_begun`."""
    last, tries = wanted[-PART_SHORTEST:], 0
    found = text.rfind(last, start, start + len(wanted) - 1)
    while found >= 0 and tries < _TRIES and not wanted.endswith(text[start : found + PART_SHORTEST]):
        found = text.rfind(last, start, found + PART_SHORTEST - 1)
        tries += 1
    return found + PART_SHORTEST if found >= 0 else start
