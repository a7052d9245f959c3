"""The four formats that mean something: `text`, `json`, `xml`, `ip`. Called by `validation` and `assignments`.

`format` is free text in a document; any other word is left alone.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _DoctypeError(Exception):
    pass


def misfit(value: str, format: str | None) -> str | None:  # noqa: A002 - the document's own word
    """Return why `value` is not of `format`, without showing it; None where it is, or where the format means nothing to us."""
    check = None if format is None else _CHECKS.get(format)
    return None if check is None else check(value)


def _text_misfit(value: str) -> str | None:
    return "is no text: it holds control characters" if _CONTROL.search(value) else None


def _json_misfit(value: str) -> str | None:
    try:
        # Numbers stay text: a long one is well-formed, whatever a machine can hold.
        json.loads(value, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except RecursionError:
        return "is nested too deep"
    except json.JSONDecodeError as error:
        return f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError:
        return "is no JSON: NaN and Infinity are no numbers there"
    return None


def _refuse_constant(_constant: str) -> None:
    raise ValueError


def _xml_misfit(value: str) -> str | None:
    try:
        error = _xml_error(value)
        if error is not None and error.code == expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
            # A payload of NETCONF may have several elements at its top.
            error = _xml_error(f"<top>{value}</top>")
    except _DoctypeError:
        return "is refused: XML with a DOCTYPE is not read"
    except UnicodeEncodeError:
        return "is no XML: it holds half a surrogate pair"
    return None if error is None else f"is no XML: {expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}"


def _xml_error(value: str) -> expat.ExpatError | None:
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(value, True)  # noqa: FBT003 - expat takes it by place only
    except expat.ExpatError as error:
        return error
    return None


def _refuse_doctype(*_declaration: Any) -> None:
    raise _DoctypeError


def _ip_misfit(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "is no IP address"
    return None


_CHECKS: Final[dict[str, Callable[[str], str | None]]] = {
    "text": _text_misfit,
    "json": _json_misfit,
    "xml": _xml_misfit,
    "ip": _ip_misfit,
}
